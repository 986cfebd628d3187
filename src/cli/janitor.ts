import { atomicJanitor, type JanitorFinding, janitor } from '../cluster/index.ts';
import type { ResolvedConfiguration } from '../config/index.ts';
import { openVault } from '../vault.ts';
import { ageText } from './age.ts';
import { serversOf } from './cluster-parts.ts';
import { CommandFailed } from './command-failed.ts';
import { type CliContext, type DefineCommand, withConfig } from './context.ts';
import { EXIT } from './exit.ts';
import { settingOf } from './move.ts';
import { UsageError } from './usage-error.ts';

interface Options {
  readonly config?: string;
  readonly remove?: boolean;
  readonly dryRun?: boolean;
}

/** `hypervault janitor [--remove]`: ends with 1 when a server could not be looked at, or a removal failed. */
export const defineJanitor: DefineCommand = (command, context) => {
  withConfig(command)
    .option('--dry-run', 'only list what is left over, as without --remove')
    .option('--remove', 'remove what may be removed, and end parts of atomic writes as their decisions say')
    .addHelpText(
      'after',
      `
Moves that are not over are listed and left alone: they end by hypervault move --resume, --abort, --finish or --revert.
Transactions that somebody else has prepared are listed and never touched.
Ends with 1 when a server could not be looked at, or something could not be removed.`,
    )
    .action(async ({ remove = false, dryRun = false, ...options }: Options) => {
      if (remove && dryRun) throw new UsageError('say --dry-run or --remove, not both');
      const findings = await look(context, await context.configuration(options), remove);
      const { output } = context;
      if (findings.length > 0 || output.json) {
        output.list(findings, ['server', 'what', 'name', ''], (finding) => [
          finding.server,
          finding.kind,
          finding.name,
          textOf(finding),
        ]);
      }
      output.note(summaryOf(findings));
      const failed = findings.filter((finding) => finding.failed).length;
      if (failed > 0) {
        output.note(`${failed} could not be looked at or removed`);
        throw new CommandFailed(EXIT.failed);
      }
    });
};

/** Parts first: while one is prepared nothing that moves do to its shard comes to an end. */
async function look(
  { output, signal }: CliContext,
  configuration: ResolvedConfiguration,
  remove: boolean,
): Promise<JanitorFinding[]> {
  const findings: JanitorFinding[] = [];
  if (configuration.connections !== undefined) {
    await using vault = await openVault(configuration, { only: [], signal });
    const { schemaPrefix } = configuration.fixed;
    const servers = serversOf(configuration);
    findings.push(...(await atomicJanitor(vault.datastore, { servers, schemaPrefix, remove, signal })));
  }
  if (configuration.control === undefined && configuration.connections !== undefined) {
    output.note('the configuration names no control database, so what moves have left is not looked for');
    return findings;
  }
  const ofMoves = await janitor(settingOf(configuration), { remove, signal });
  const away = new Set(findings.flatMap(({ kind, server }) => (kind === 'server' ? server : [])));
  return [...findings, ...ofMoves.filter(({ kind, server }) => kind !== 'server' || !away.has(server))];
}

function summaryOf(findings: readonly JanitorFinding[]): string {
  const removed = findings.filter((finding) => finding.removed).length;
  const left = findings.filter(({ kept, removed: gone }) => kept === undefined && !gone).length;
  const kept = findings.length - removed - left;
  const parts = [
    removed > 0 && `${removed} removed`,
    left > 0 && `${left} can be removed with --remove`,
    kept > 0 && `${kept} left alone`,
  ].filter((part) => part !== false);
  return parts.length === 0 ? 'nothing is left over' : parts.join(', ');
}

function textOf({ kept, removed, how, prepared }: JanitorFinding): string {
  const said = kept ?? (removed ? how : `can be ${how}`);
  if (prepared === undefined) return said;
  return `${said} (prepared ${ageText(prepared.ageMs)} by ${prepared.role})`;
}
