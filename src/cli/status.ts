import type { ClusterServerReport, ClusterStatus, ShardReport } from '../cluster/index.ts';
import type { ResolvedConfiguration } from '../config/index.ts';
import { DEFAULT_EPOCH, type ServerStatus, ShardMap, serverStatus } from '../core/index.ts';
import { openVault } from '../vault.ts';
import { CommandFailed } from './command-failed.ts';
import { type DefineCommand, withConfig } from './context.ts';
import { EXIT } from './exit.ts';
import type { Cell, Output } from './output.ts';
import { sizeText } from './size-text.ts';
import { showCluster } from './status-cluster.ts';

const HEAD = ['server', 'address', 'role', 'version', 'shards', 'ready', 'size', 'sessions', 'rows', 'migration'];
const MORE = ['standbys', 'clock', 'round trip', ''];

/** `hypervault status`: ends with 1 when something is wrong with a server. */
export const defineStatus: DefineCommand = (command, context) => {
  withConfig(command)
    .option('--shards', 'also every shard with its size, rows and migrations')
    .addHelpText('after', '\nEnds with 1 when something is wrong with a server.')
    .action(async ({ shards, ...options }: { config?: string; shards?: boolean }) => {
      const { output, signal } = context;
      const configuration = await context.configuration(options);
      const { servers, cluster } = await look(configuration, output, signal);
      const reports = new Map(cluster?.servers.map((report) => [report.name, report]));
      const looks = servers.map((server) => ({ ...server, ...partsOf(reports.get(server.name)) }));
      output.list(looks, [...HEAD, ...MORE], row);
      if (cluster !== undefined) showCluster(output, cluster, shards === true);
      const problems = servers.flatMap(({ name, problem }) =>
        problem === undefined ? [] : [`${name}: ${problem.message}`],
      );
      for (const problem of problems) output.note(problem);
      if (problems.length > 0) throw new CommandFailed(EXIT.failed);
    });
};

interface Look {
  readonly servers: readonly ServerStatus[];
  /** `undefined` when the configuration names no shards. */
  readonly cluster: ClusterStatus | undefined;
}

async function look(configuration: ResolvedConfiguration, output: Output, signal: AbortSignal): Promise<Look> {
  try {
    // The modules are not needed to look at servers, and might not open when one is down.
    await using vault = await openVault(configuration, { only: [] });
    const { servers } = await vault.status({ signal });
    const { connections } = configuration;
    const cluster = connections && (await lookAtCluster(vault.datastore.map, configuration, signal));
    return { servers, cluster };
  } catch (error) {
    if (signal.aborted || configuration.connections !== 'live') throw error;
    // Now of all times somebody wants to see what is up.
    output.warn(`no shard map: ${error instanceof Error ? error.message : String(error)}`);
    return lookWithoutMap(configuration, signal);
  }
}

async function lookWithoutMap(configuration: ResolvedConfiguration, signal: AbortSignal): Promise<Look> {
  const expected = { epoch: DEFAULT_EPOCH, schemaPrefix: 'shard', ...configuration.fixed };
  const servers = await Promise.all(
    [...configuration.servers].map(([name, connection]) =>
      serverStatus({ name, connection, ranges: [] }, expected, { signal }),
    ),
  );
  return { servers, cluster: await lookAtCluster(new ShardMap([]), configuration, signal) };
}

async function lookAtCluster(
  map: ShardMap,
  { control, servers, fixed }: ResolvedConfiguration,
  signal: AbortSignal,
): Promise<ClusterStatus> {
  const { clusterStatus } = await import('../cluster/index.ts');
  const options = { servers: Object.fromEntries(servers), schemaPrefix: fixed.schemaPrefix, signal };
  return clusterStatus(map, { ...options, control }).catch((error: unknown) => {
    if (signal.aborted || control === undefined) throw error;
    // A control database that is down hides the moves, and nothing else.
    return clusterStatus(map, options);
  });
}

/** What the look at the cluster adds to a server's line. */
type ClusterParts = Partial<Pick<ClusterServerReport & { error?: undefined }, 'replication' | 'shards'>>;

function partsOf(report: ClusterServerReport | undefined): ClusterParts {
  return report?.replication === undefined ? {} : { replication: report.replication, shards: report.shards };
}

function row(server: ServerStatus & ClusterParts): Cell[] {
  const { name, address, role, version, ranges, shardsReady, sizeBytes, sessions, clockOffsetMs, roundTripMs } = server;
  const own = server.shards?.filter(({ owner }) => owner === null || owner === name);
  return [
    name,
    address,
    role ?? 'down',
    version,
    ranges,
    shardsReady,
    sizeBytes === undefined ? '' : sizeText(sizeBytes),
    sessions === undefined ? '' : `${sessions.open} of ${sessions.max}`,
    own === undefined ? '' : rowsText(own),
    own === undefined ? '' : migrationText(own),
    server.replication?.standbys.map(({ name: standby, lagBytes }) => `${standby} ${lagText(lagBytes)}`).join(', '),
    clockOffsetMs === undefined ? '' : `${clockOffsetMs >= 0 ? '+' : ''}${clockOffsetMs} ms`,
    roundTripMs === undefined ? '' : `${roundTripMs} ms`,
    server.problem === undefined ? 'ok' : server.problem.code,
  ];
}

/** An estimate, and a lower bound where some shards were never analysed. */
function rowsText(shards: readonly ShardReport[]): string {
  const known = shards.flatMap(({ estimatedRows }) => (estimatedRows === null ? [] : [estimatedRows]));
  if (known.length === 0) return '';
  return `${known.length < shards.length ? '≥ ' : '≈ '}${known.reduce((sum, rows) => sum + rows, 0n)}`;
}

/** `002-note.sql`, or with shards that lag behind `001-orders.sql ×3, 002-note.sql ×5`. */
function migrationText(shards: readonly ShardReport[]): string {
  const counts = new Map<string, number>();
  for (const { migration } of shards) counts.set(migration ?? 'none', (counts.get(migration ?? 'none') ?? 0) + 1);
  if (counts.size === 1) return [...counts.keys()][0]!.replace('none', '');
  return [...counts]
    .sort()
    .map(([name, shardCount]) => `${name} ×${shardCount}`)
    .join(', ');
}

function lagText(bytes: bigint | null): string {
  return bytes === null ? '(lag not visible to this role)' : `${sizeText(bytes)} behind`;
}
