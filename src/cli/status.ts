import type { ServerStatus } from '../core/index.ts';
import { openVault } from '../vault.ts';
import { CommandFailed } from './command-failed.ts';
import { type DefineCommand, withConfig } from './context.ts';
import { EXIT } from './exit.ts';
import type { Cell } from './output.ts';

const HEAD = ['server', 'address', 'role', 'version', 'shards', 'ready', 'size', 'sessions', 'clock', 'round trip', ''];

/** `hypervault status`: ends with 1 when something is wrong with a server. */
export const defineStatus: DefineCommand = (command, context) => {
  withConfig(command).action(async (options: { config?: string }) => {
    const { output, signal } = context;
    // The modules are not needed to look at servers, and might not open when one is down.
    await using vault = await openVault(await context.configuration(options), { only: [] });
    const { servers } = await vault.status({ signal });
    output.list(servers, HEAD, row);
    const problems = servers.flatMap(({ name, problem }) =>
      problem === undefined ? [] : [`${name}: ${problem.message}`],
    );
    for (const problem of problems) output.note(problem);
    if (problems.length > 0) throw new CommandFailed(EXIT.failed);
  });
};

function row(server: ServerStatus): Cell[] {
  const { name, address, role, version, ranges, shardsReady, sizeBytes, sessions, clockOffsetMs, roundTripMs } = server;
  return [
    name,
    address,
    role ?? 'down',
    version,
    ranges,
    shardsReady,
    sizeBytes === undefined ? '' : sizeText(Number(sizeBytes)),
    sessions === undefined ? '' : `${sessions.open} of ${sessions.max}`,
    clockOffsetMs === undefined ? '' : `${clockOffsetMs >= 0 ? '+' : ''}${clockOffsetMs} ms`,
    roundTripMs === undefined ? '' : `${roundTripMs} ms`,
    server.problem === undefined ? 'ok' : server.problem.code,
  ];
}

/** `1.4 GB`; powers of 1024, as Postgres' own pg_size_pretty counts. */
function sizeText(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
