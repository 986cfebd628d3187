import type { ClusterStatus } from '../cluster/index.ts';
import { ageText } from './age.ts';
import type { Output } from './output.ts';
import { sizeText } from './size-text.ts';
import { showPrepared } from './status-prepared.ts';

/** Shows shards, moves and what is left over, below the servers. */
export function showCluster(output: Output, status: ClusterStatus, withShards: boolean): void {
  const { servers, moves, leftovers, prepared } = status;
  if (output.json) {
    for (const move of moves) output.value({ move }, () => '');
    for (const leftover of leftovers) output.value({ leftover }, () => '');
    for (const one of prepared) output.value({ prepared: one }, () => '');
    return;
  }
  const found = servers.flatMap(({ shards = [] }) => shards);
  if (withShards) {
    output.plain('\n');
    output.list(found, ['shard', 'server', 'owner', 'size', 'rows', 'migration', 'schema'], (shard) => [
      shard.shardId,
      shard.on,
      shard.owner,
      sizeText(shard.sizeBytes),
      shard.estimatedRows,
      shard.migration,
      Object.entries(shard.schema)
        .map(([module, version]) => `${module} ${version}`)
        .join(', '),
    ]);
  }
  if (moves.length > 0) {
    output.plain('\n');
    output.list(moves, ['move', 'shard', 'from', 'to', 'state', 'step', 'since', 'sign of life', ''], (move) => [
      move.id,
      move.shardId,
      move.from,
      move.to,
      move.state,
      move.step,
      ageText(Date.now() - move.started.getTime()),
      ageText(Date.now() - move.heartbeat.getTime()),
      move.error,
    ]);
  }
  if (leftovers.length > 0) {
    output.plain('\n');
    const head = ['left over on', 'what', 'name', 'size', 'log kept', ''];
    output.list(leftovers, head, ({ server, kind, name, sizeBytes, retainedBytes, kept }) => [
      server,
      kind,
      name,
      sizeBytes === undefined ? '' : sizeText(sizeBytes),
      retainedBytes === undefined ? '' : sizeText(retainedBytes),
      kept,
    ]);
    const removable = leftovers.some(({ kept }) => kept === undefined);
    if (removable) output.note('what is left over is taken away by hypervault janitor --remove');
  }
  showPrepared(output, prepared);
}
