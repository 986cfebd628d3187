import type { DefineCommand } from './context.ts';

/** One word after `hypervault`, and the file that knows what it does. */
export interface CommandRow {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Loaded only when the command is called or its help is asked for. */
  readonly load: () => Promise<DefineCommand>;
}

/** Every command of `hypervault`, in the order of its help. A module's group of commands is one row. */
export const COMMANDS: readonly CommandRow[] = [
  {
    name: 'dev',
    summary: 'start real servers for development, and print their configuration',
    load: async () => (await import('./dev.ts')).defineDev,
  },
  {
    name: 'init',
    summary: 'make the schemas of all servers and shards, or bring them up to date',
    load: async () => (await import('./init.ts')).defineInit,
  },
  {
    name: 'status',
    summary: 'look at every server, at moves, and at what is left over',
    load: async () => (await import('./status.ts')).defineStatus,
  },
  {
    name: 'get',
    summary: 'read entities by their ids',
    load: async () => (await import('./get.ts')).defineGet,
  },
  {
    name: 'put',
    summary: 'write entities into a shard',
    load: async () => (await import('./put.ts')).definePut,
  },
  {
    name: 'decode',
    summary: 'say when and where the rows of ids were made',
    load: async () => (await import('./decode.ts')).defineDecode,
  },
  {
    name: 'encode',
    summary: 'make the id of a time, a shard and a sequence value',
    load: async () => (await import('./encode.ts')).defineEncode,
  },
  {
    name: 'range',
    summary: 'the lowest and the highest id of a time range',
    load: async () => (await import('./range.ts')).defineRange,
  },
  {
    name: 'listen',
    summary: 'print notifications of a channel, or run a command for each',
    load: async () => (await import('./listen.ts')).defineListen,
  },
  {
    name: 'migrate',
    summary: 'run your own numbered SQL files on every shard',
    load: async () => (await import('./migrate.ts')).defineMigrate,
  },
  {
    name: 'move',
    summary: 'move shards to another server while programs read and write them',
    load: async () => (await import('./move.ts')).defineMove,
  },
  {
    name: 'janitor',
    summary: 'list what moves and atomic writes have left on servers, and remove it',
    load: async () => (await import('./janitor.ts')).defineJanitor,
  },
  {
    name: 'map',
    summary: 'the shard map in the control database: show, history, rebuild',
    load: async () => (await import('./map.ts')).defineMap,
  },
  {
    name: 'fsck',
    summary: 'compare the shard map with what the shards say of themselves',
    load: async () => (await import('./fsck.ts')).defineFsck,
  },
  {
    name: 'rebalance',
    summary: 'even servers out by moving shards while programs run',
    load: async () => (await import('./rebalance.ts')).defineRebalance,
  },
  {
    name: 'drain',
    summary: 'move every shard away from a server',
    load: async () => (await import('./rebalance.ts')).defineDrain,
  },
  {
    name: 'reference',
    summary: 'small tables kept the same on all servers: sync, remove',
    load: async () => (await import('./reference.ts')).defineReference,
  },
  {
    name: 'verify',
    summary: 'compare two copies of shards, row by row where they differ',
    load: async () => (await import('./verify.ts')).defineVerify,
  },
  {
    name: 'kv',
    summary: 'versioned settings: list, show, edit, history, rollback, watch, serve',
    load: async () => (await import('./kv.ts')).defineKv,
  },
  {
    name: 'streams',
    summary: 'event streams: publish, read, tail, groups, parked, replay, stats',
    load: async () => (await import('./streams.ts')).defineStreams,
  },
  {
    name: 'import',
    summary: 'bring a MySQL, MariaDB or Postgres database into shards, and keep it up to date',
    load: async () => (await import('./import.ts')).defineImport,
  },
];
