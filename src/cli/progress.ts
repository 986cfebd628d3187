import { SingleBar } from 'cli-progress';
import type { Output } from './output.ts';

/** Shows how far a long command has come: a bar on a terminal, now and then a line in a pipe. */
export interface Progress {
  /** @param detail - what was done last, e.g. the name of a server */
  update(done: number, detail?: string): void;
  stop(): void;
}

const LINE_EVERY_MS = 1_000;

/**
 * Starts showing progress on stderr.
 *
 * @example
 * ```ts
 * const progress = startProgress(output, { label: 'shards', total: 512 });
 * progress.update(17, 'eu1');
 * progress.stop();
 * ```
 */
export function startProgress(output: Output, { label, total }: { label: string; total: number }): Progress {
  return output.stderr.isTTY && !output.json ? bar(output, label, total) : lines(output, label, total);
}

function bar(output: Output, label: string, total: number): Progress {
  const single = new SingleBar({
    format: `${label} {bar} {value}/{total} {detail}`,
    stream: output.stderr,
    hideCursor: true,
    clearOnComplete: true,
  });
  single.start(total, 0, { detail: '' });
  return {
    update: (done, detail = '') => single.update(done, { detail }),
    stop: () => single.stop(),
  };
}

/** Lines come at most once a second, and one at the end. */
function lines(output: Output, label: string, total: number): Progress {
  let last = performance.now();
  let shown = 0;
  let done = 0;
  const show = (detail: string): void => {
    shown = done;
    output.note(`${label}: ${done} of ${total}${detail === '' ? '' : `, ${detail}`}`);
  };
  return {
    update: (now, detail = '') => {
      done = now;
      if (performance.now() - last < LINE_EVERY_MS) return;
      last = performance.now();
      show(detail);
    },
    stop: () => {
      if (done > shown) show('');
    },
  };
}
