// What the pages of docs/ say in words, or showed on the same page before: names that their code uses without declaring.
// Read by test/docs.test.ts only, which compiles every ```ts block of the pages beside it.
import type * as cluster from '../../src/cluster/index.ts';
import type * as core from '../../src/core/index.ts';
import type { Vault } from '../../src/index.ts';
import type * as kv from '../../src/kv/index.ts';
import type * as listen from '../../src/listen/index.ts';
import type * as streams from '../../src/streams/index.ts';

declare global {
  // From imports further up on the page.
  var Datastore: typeof core.Datastore;
  var idRange: typeof core.idRange;
  var install: typeof core.install;
  var openKv: typeof kv.openKv;
  var Supervisor: typeof listen.Supervisor;
  var NotificationHub: typeof listen.NotificationHub;
  var Kysely: typeof import('kysely').Kysely;
  var PostgresDialect: typeof import('kysely').PostgresDialect;

  // Made further up on the page.
  var db: core.Datastore;
  var vault: Vault;
  var map: core.ShardMap;
  var store: streams.EventStore;
  var keys: core.Key[];
  var key: core.Key;

  // The reader's own.
  type Tables = Record<string, Record<string, unknown>>;
  var connections: core.ConnectionEntry[];
  var connection: core.ConnectionSettings;
  var db1: core.ConnectionSettings;
  var db2: core.ConnectionSettings;
  var control: core.ConnectionSettings;
  var servers: cluster.MoveSetting['servers'];
  var password: string;
  var signal: AbortSignal;
  var shardId: number;
  var id: string;
  var USER: number;
  var request: { readonly cookies: Record<string, string> };
  var response: { cookie(name: string, value: string): void };
  var payersShard: number;
  var payeesShard: number;
  var payer: bigint;
  var payee: bigint;
  var wake: (payload: string) => void;
  var readBacklog: () => Promise<void>;
}
