import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { ConfigurationError } from '../errors.ts';
import {
  type AccessRights,
  type CommitToken,
  jsonCodec,
  jsonObjectCodec,
  jsonSchemaHook,
  MemoryCommitStorage,
  openKv,
  type SchemasByPrefix,
  type ServeOptions,
  serveCommits,
  type ValueCodec,
  withPreSaveHook,
} from '../kv/index.ts';
import { wholeNumber } from './arguments.ts';
import { type CliContext, type DefineCommand, subcommand, withConfig } from './context.ts';
import { controlOf } from './kv-control.ts';
import { UsageError } from './usage-error.ts';

interface ServeCommandOptions {
  readonly listen: string;
  readonly base: string;
  readonly database?: string;
  readonly memory?: boolean;
  readonly config?: string;
  readonly table?: string;
  readonly cached?: boolean;
  readonly payload: string;
  readonly schemas?: string;
  readonly tokens?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly maxPayload?: number;
  readonly install: boolean;
  readonly page: boolean;
}

const CODECS: Readonly<Record<string, ValueCodec<unknown> | undefined>> = {
  any: undefined,
  json: jsonCodec(),
  'json-object': jsonObjectCodec,
};

/** `kv serve`: the commit server, until Ctrl-C. */
export const defineKvServe: DefineCommand = (group, context) => {
  const command = withConfig(subcommand(group, 'serve'))
    .description('serve keys over HTTP, with a web page, for pyrainer and everyone else')
    .option('--listen <host:port>', 'where; port 0 takes a free one', '127.0.0.1:8080')
    .option('--base <path>', 'the path the keys are under, e.g. /diary', '')
    .option('--database <url>', 'postgres://…, where the keys are kept (or --config)')
    .option('--memory', 'keep the keys in memory: they are gone with the process')
    .option('--table <name>', 'the namespace of the keys in the database')
    .option('--cached', 'answer reads of newest versions from a live mirror; removed keys are 404 then')
    .option('--payload <kind>', `what payloads must be: ${Object.keys(CODECS).join(' | ')}`, 'any')
    .option('--schemas <file>', 'YAML: JSON Schemas by what keys begin with; payloads that do not fit are refused')
    .option('--tokens <file>', 'YAML: who may do what (tokens: token, author, read, write; anonymous: read, write)')
    .option('--tls-cert <file>', 'PEM: serve https with this certificate')
    .option('--tls-key <file>', 'PEM: and this key')
    .option('--max-payload <bytes>', 'longest payload taken', wholeNumber('--max-payload', 1))
    .option('--no-page', 'serve no web page')
    .option('--no-install', 'do not make the tables when they are missing');
  // The group knows --config and --table, too, and takes them wherever they stand.
  command.action(() => serve(command.optsWithGlobals<ServeCommandOptions>(), context));
};

async function serve(options: ServeCommandOptions, context: CliContext): Promise<void> {
  const { output, signal } = context;
  if (!Object.hasOwn(CODECS, options.payload)) {
    throw new UsageError(`--payload: ${JSON.stringify(options.payload)} is none of ${Object.keys(CODECS).join(', ')}`);
  }
  const codec = CODECS[options.payload];
  await using source = await openSource(options, codec, context);
  const running = await serveCommits({
    ...parseListen(options.listen),
    ...(await readTls(options)),
    ...(await readTokens(options.tokens)),
    ...source.served,
    basePath: options.base,
    maxPayloadBytes: options.maxPayload,
    page: options.page,
    logger: {
      debug() {},
      warn: ({ error }: { error?: unknown }, message) => output.warn(`${message}: ${String(error)}`),
    },
  });
  try {
    const page = options.page ? `${running.url}/-/page` : undefined;
    output.value({ url: running.url, page }, ({ url }) => `serving ${url}${page ? `\nweb page ${page}` : ''}`);
    if (!signal.aborted)
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  } finally {
    await running.close();
  }
}

interface Source extends AsyncDisposable {
  readonly served: Pick<ServeOptions, 'storage' | 'mirror'>;
}

async function openSource(
  { memory, database, config, table, cached, install, schemas: file }: ServeCommandOptions,
  codec: ValueCodec<unknown> | undefined,
  context: CliContext,
): Promise<Source> {
  const schemas = file === undefined ? undefined : await readSchemas(file);
  if (memory) {
    if (database !== undefined || cached) throw new UsageError('--memory: it takes neither --database nor --cached');
    const storage = new MemoryCommitStorage({ codec });
    const checked = schemas === undefined ? storage : withPreSaveHook(storage, await jsonSchemaHook<unknown>(schemas));
    return { served: { storage: checked }, [Symbol.asyncDispose]: async () => {} };
  }
  const connection = database ?? (await controlOf(config, context));
  const kv = await openKv({ connection, install, codec, schemas, ...(table !== undefined && { table }) });
  const mirror = cached ? await kv.mirror({ signal: context.signal }) : undefined;
  return { served: { storage: kv.storage, mirror }, [Symbol.asyncDispose]: () => kv.close() };
}

function parseListen(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (match === null || Number(match[3]) > 65_535) {
    throw new UsageError(`--listen: ${JSON.stringify(text)} is not HOST:PORT, e.g. 127.0.0.1:8080 or [::1]:8080`);
  }
  return { host: match[1] ?? match[2]!, port: Number(match[3]) };
}

async function readTls({ tlsCert, tlsKey }: ServeCommandOptions): Promise<Pick<ServeOptions, 'tls'>> {
  if (tlsCert === undefined && tlsKey === undefined) return {};
  if (tlsCert === undefined || tlsKey === undefined) throw new UsageError('--tls-cert and --tls-key go together');
  return { tls: { cert: await readFileOf('--tls-cert', tlsCert), key: await readFileOf('--tls-key', tlsKey) } };
}

async function readTokens(file: string | undefined): Promise<Pick<ServeOptions, 'tokens' | 'anonymous'>> {
  if (file === undefined) return {};
  const json: unknown = parse((await readFileOf('--tokens', file)).toString());
  const { tokens, anonymous } = (json ?? {}) as { tokens?: unknown; anonymous?: AccessRights };
  if (!Array.isArray(tokens)) throw new ConfigurationError(`${file}: there is no list "tokens"`);
  return { tokens: tokens as CommitToken[], anonymous };
}

async function readSchemas(file: string): Promise<SchemasByPrefix> {
  const schemas: unknown = parse((await readFileOf('--schemas', file)).toString());
  if (typeof schemas === 'object' && schemas !== null && !Array.isArray(schemas)) return schemas as SchemasByPrefix;
  throw new ConfigurationError(`${file}: it must map beginnings of keys to JSON Schemas`);
}

async function readFileOf(option: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new UsageError(`${option}: ${(cause as Error).message}`, { cause });
  }
}
