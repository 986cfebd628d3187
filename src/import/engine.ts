import { dropCatalogue, installCatalogue } from './catalogue/install.ts';
import { addSource, dropSource, enableReplica } from './commands/add-source.ts';
import type { CopyResult } from './commands/copy-source.ts';
import { createContext, type OpenContext } from './commands/create-context.ts';
import { type InitOptions, initReplica } from './commands/init-replica.ts';
import { type StartOptions, startReplica } from './commands/start-replica.ts';
import { type StopOptions, stopAllReplicas, stopReplica } from './commands/stop-replica.ts';
import { type ReplicaEngineOptions, resolveReplicaEngineOptions } from './options.ts';

/**
 * Keeps Postgres copies of databases up to date: the road from MySQL, MariaDB or one big Postgres into a schema or
 * into shards. Every command of `hypervault import` is a method here; each returns plain data.
 *
 * @example
 * ```ts
 * await using engine = new ReplicaEngine({ config: 'hypervault.yaml' });
 * await engine.createReplicaSchema();
 * await engine.addSource('shop');
 * await engine.initReplica('shop', { onProgress: ({ rows }) => console.log(rows) });
 * await engine.startReplica('shop', { signal });
 * ```
 */
export class ReplicaEngine {
  readonly #options: ReplicaEngineOptions;
  #opened: Promise<OpenContext> | undefined;

  /** @throws ConfigurationError; does no I/O */
  constructor(options: ReplicaEngineOptions) {
    this.#options = resolveReplicaEngineOptions(options);
  }

  /** Installs the catalogue on the control database and what each server keeps. Idempotent. */
  async createReplicaSchema(): Promise<{ readonly applied: readonly string[] }> {
    const { context } = await this.#open();
    return { applied: await installCatalogue(context.servers) };
  }

  /** Takes the catalogue away; replicated rows stay. */
  async dropReplicaSchema(): Promise<void> {
    const { context } = await this.#open();
    await dropCatalogue(context.servers);
  }

  /** Registers a source of the configuration. */
  async addSource(source: string): Promise<{ readonly added: boolean }> {
    const { context } = await this.#open();
    return addSource(context, source);
  }

  /** Takes a source out of the catalogue; replicated rows stay. */
  async dropSource(source: string): Promise<void> {
    const { context } = await this.#open();
    await dropSource(context, source);
  }

  /** Copies everything a source maps. An interrupted run goes on where it was. */
  async initReplica(source: string, options: InitOptions = {}): Promise<CopyResult> {
    const { context } = await this.#open();
    return initReplica(context, source, options);
  }

  /** Replicates until the signal fires or somebody calls {@link stopReplica}. */
  async startReplica(source: string, options: StartOptions = {}): Promise<void> {
    const { context } = await this.#open();
    await startReplica(context, source, options);
  }

  /** Stops the process that replicates a source, wherever it runs. */
  async stopReplica(source: string, options: StopOptions = {}): Promise<{ readonly stopped: boolean }> {
    const { context } = await this.#open();
    return stopReplica(context, source, options);
  }

  /** Stops every replica that runs. */
  async stopAllReplicas(options: StopOptions = {}): Promise<readonly string[]> {
    const { context } = await this.#open();
    return stopAllReplicas(context, options);
  }

  /** Lets a source that ended in an error be started again. */
  async enableReplica(source: string): Promise<void> {
    const { context } = await this.#open();
    await enableReplica(context, source);
  }

  /** Ends all sessions. Idempotent. */
  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    if (opened === undefined) return;
    await opened.then(({ close }) => close()).catch(() => {});
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #open(): Promise<OpenContext> {
    this.#opened ??= createContext(this.#options);
    return this.#opened;
  }
}
