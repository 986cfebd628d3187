import type { MoveProgress } from '../cluster/index.ts';
import type { Output } from './output.ts';

const LINE_EVERY_MS = 1_000;

/** Says how far moves have come: a line for each step, and now and then one for what a long step has done. */
export function moveProgress(output: Output): { update: (progress: MoveProgress) => void; stop: () => void } {
  let step = '';
  let last = 0;
  return {
    update: (progress) => {
      const here = `${progress.shardId} ${progress.step}`;
      const worth = progress.note !== undefined || progress.pauseMs !== undefined;
      if (here === step && !worth && performance.now() - last < LINE_EVERY_MS) return;
      step = here;
      last = performance.now();
      output.note(lineOf(progress));
    },
    stop: () => {
      step = '';
    },
  };
}

function lineOf({ shardId, source, target, step, tables, rows, bytes, lagMs, pauseMs, note }: MoveProgress): string {
  const parts = [
    tables && `${tables.done} of ${tables.total} tables`,
    rows !== undefined && `${rows} rows`,
    bytes !== undefined && `${(Number(bytes) / 2 ** 20).toFixed(1)} MiB`,
    lagMs !== undefined && `lag ${lagMs.toFixed(0)} ms`,
    pauseMs !== undefined && `writers waited ${pauseMs.toFixed(0)} ms`,
    note,
  ].filter((part) => typeof part === 'string');
  return `shard ${shardId} ${source} → ${target}: ${step}${parts.length === 0 ? '' : `, ${parts.join(', ')}`}`;
}
