import { type ErrorFilter, type ErrorRow, listErrors } from './catalogue/error-rows.ts';
import { dropCatalogue, installCatalogue } from './catalogue/install.ts';
import { addSource, dropSource, enableReplica } from './commands/add-source.ts';
import { back, finish } from './commands/back.ts';
import { type PartOptions, refreshSchema, syncTables } from './commands/copy-part.ts';
import { type CopySchemaResult, copySchema } from './commands/copy-schema.ts';
import type { CopyResult } from './commands/copy-source.ts';
import { createContext, type OpenContext } from './commands/create-context.ts';
import { type DetachOptions, type DetachResult, detachReplica } from './commands/detach-replica.ts';
import { type InitOptions, initReplica } from './commands/init-replica.ts';
import { preflight } from './commands/preflight.ts';
import { type MaintenanceOptions, runMaintenance } from './commands/run-maintenance.ts';
import { showConfig } from './commands/show-config.ts';
import { type ImportedMigration, showMigration } from './commands/show-migration.ts';
import { type SourceSummary, showSources } from './commands/show-sources.ts';
import { type SourceDetails, type SourceStatusReport, showSourceStatus, showStatus } from './commands/show-status.ts';
import { readReplica, replayReplica, type StartOptions, startReplica } from './commands/start-replica.ts';
import { type StopOptions, stopAllReplicas, stopReplica } from './commands/stop-replica.ts';
import { type SwitchResult, switchOver } from './commands/switch.ts';
import { type MappingChange, updateSchemaMappings } from './commands/update-schema-mappings.ts';
import { type UpgradeResult, upgradeReplicaSchema } from './commands/upgrade-replica-schema.ts';
import { type VerifyOptions, type VerifyResult, verify } from './commands/verify.ts';
import type { Problem } from './errors.ts';
import { filesOf } from './log/own-files.ts';
import { type ReplicaEngineOptions, resolveReplicaEngineOptions } from './options.ts';
import type { SwitchOptions } from './way-back/switch-work.ts';

type Stoppable = { readonly signal?: AbortSignal | undefined };

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

  /** Only reads, into a log in the control database; {@link replayReplica} applies it, in this process or another. */
  async readReplica(source: string, options: StartOptions = {}): Promise<void> {
    const { context } = await this.#open();
    await readReplica(context, source, options);
  }

  /** Only applies what {@link readReplica} has read. */
  async replayReplica(source: string, options: StartOptions = {}): Promise<void> {
    const { context } = await this.#open();
    await replayReplica(context, source, options);
  }

  /** Makes the source's tables without their rows. */
  async copySchema(source: string, options: Stoppable = {}): Promise<CopySchemaResult> {
    const { context } = await this.#open();
    return copySchema(context, source, options);
  }

  /** Copies one origin schema anew, beside the others. */
  async refreshSchema(source: string, schema: string, options: PartOptions = {}): Promise<CopyResult> {
    const { context } = await this.#open();
    return refreshSchema(context, source, schema, options);
  }

  /** Copies tables anew: those named `schema.table`, or `'disabled'` for all that were set aside. */
  async syncTables(
    source: string,
    tables: readonly string[] | 'disabled',
    options: PartOptions = {},
  ): Promise<CopyResult> {
    const { context } = await this.#open();
    return syncTables(context, source, tables, options);
  }

  /** Applies the last changes, then leaves a database that stands on its own. */
  async detachReplica(source: string, options: DetachOptions = {}): Promise<DetachResult> {
    const { context } = await this.#open();
    return detachReplica(context, source, options);
  }

  /** Makes the target the place where rows live; from then on {@link startReplica} brings changes back to the source. */
  async switchOver(source: string, options: SwitchOptions = {}): Promise<SwitchResult> {
    const { context } = await this.#open();
    return switchOver(context, source, options);
  }

  /** Makes the source the place where rows live again. */
  async back(source: string, options: SwitchOptions = {}): Promise<{ readonly lockedMs: number }> {
    const { context } = await this.#open();
    return back(context, source, options);
  }

  /** Ends the way back and forgets the source. */
  async finish(source: string, options: SwitchOptions = {}): Promise<void> {
    const { context } = await this.#open();
    await finish(context, source, options);
  }

  /** How the tables of an import are made in the shards, as a file for `hypervault migrate`. Changes nothing. */
  async showMigration(source: string): Promise<ImportedMigration> {
    const { context } = await this.#open();
    return showMigration(context, source);
  }

  /** Compares source and target row by row, also while both are written to. */
  async verify(source: string, options: VerifyOptions = {}): Promise<VerifyResult> {
    const { context } = await this.#open();
    return verify(context, source, options);
  }

  /** Vacuums what the import writes often, while the workers pause. */
  async runMaintenance(
    source: string,
    options: MaintenanceOptions = {},
  ): Promise<{ readonly tables: readonly string[] }> {
    const { context } = await this.#open();
    return runMaintenance(context, source, options);
  }

  /** Brings the target schemas in line with changed `schema_mappings`. */
  async updateSchemaMappings(source: string, options: Stoppable = {}): Promise<MappingChange> {
    const { context } = await this.#open();
    return updateSchemaMappings(context, source, options);
  }

  /** Brings the catalogue to this program's version. Refuses while a source is at work. */
  async upgradeReplicaSchema(options: Stoppable = {}): Promise<UpgradeResult> {
    const { context } = await this.#open();
    return upgradeReplicaSchema(context, options);
  }

  /** How every source is; with a name, how that one is, in detail. */
  async showStatus(): Promise<readonly SourceStatusReport[]>;
  async showStatus(source: string): Promise<SourceDetails>;
  async showStatus(source?: string): Promise<readonly SourceStatusReport[] | SourceDetails> {
    const { context } = await this.#open();
    return source === undefined ? showStatus(context) : showSourceStatus(context, source);
  }

  /** What went wrong, newest first, with what to do about it. */
  async showErrors(filter: ErrorFilter = {}): Promise<readonly ErrorRow[]> {
    const { context } = await this.#open();
    return context.control((client) => listErrors(client, filter));
  }

  /** The sources of the configuration, each with its state when it is registered. */
  async showSources(): Promise<readonly SourceSummary[]> {
    const { context } = await this.#open();
    return showSources(context);
  }

  /** The configuration as it is understood; secrets are hidden. */
  async showConfig(): Promise<Record<string, unknown>> {
    const { context } = await this.#open();
    return showConfig(context);
  }

  /** Where a daemon of that name keeps its log and its process id. */
  async daemonFiles(name: string): Promise<{ readonly log: string; readonly pid: string }> {
    const { context } = await this.#open();
    return filesOf(context.config, name);
  }

  /** Everything that stands against copying a source, and what will be different. Changes nothing. */
  async preflight(source: string): Promise<readonly Problem[]> {
    const { context } = await this.#open();
    return preflight(context, source);
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
