import type { Call } from './shard-load.ts';

/** A moment to mark. */
export interface Mark {
  readonly at: number;
  readonly label: string;
}

const WIDTH = 960;
const PANEL = 190;
const LEFT = 64;
const RIGHT = 16;
const TOP = 46;
const GAP = 46;

/**
 * Draws what writers saw while shards moved: calls a second above, the slowest call of each moment below, one line for
 * each flip. Plain SVG with both colour schemes.
 */
export function movePlot(title: string, calls: readonly Call[], marks: readonly Mark[], bucketMs = 200): string {
  const from = Math.min(...calls.map(([at]) => at));
  const to = Math.max(...calls.map(([at]) => at));
  const buckets = Math.max(1, Math.floor((to - from) / bucketMs));
  const count = new Array<number>(buckets).fill(0);
  const slowest = new Array<number>(buckets).fill(0);
  for (const [at, took] of calls) {
    const bucket = Math.min(buckets - 1, Math.floor((at - from) / bucketMs));
    count[bucket]! += 1;
    slowest[bucket] = Math.max(slowest[bucket]!, took);
  }
  const rate = count.map((n) => (n * 1_000) / bucketMs);
  const x = (at: number): number => LEFT + ((at - from) / (to - from)) * (WIDTH - LEFT - RIGHT);
  const height = TOP + 2 * PANEL + GAP + 30;
  const lines = marks.map(({ at, label }) => {
    const place = x(at).toFixed(1);
    return `<line class="mark" x1="${place}" x2="${place}" y1="${TOP}" y2="${TOP + 2 * PANEL + GAP}"><title>${label}</title></line>`;
  });
  const seconds = (to - from) / 1_000;
  const stepS = seconds > 40 ? 10 : seconds > 15 ? 5 : 1;
  const ticks = Array.from({ length: Math.floor(seconds / stepS) + 1 }, (_, n) => n * stepS).map(
    (s) => `<text x="${x(from + s * 1_000).toFixed(1)}" y="${height - 12}" text-anchor="middle">${s} s</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="12">
<title>${title}</title>
<style>
text { fill: #333 } .axis { stroke: #bbb } .mark { stroke: #c2410c; stroke-width: 1.2; stroke-dasharray: 3 3 }
.rate { fill: none; stroke: #1d4ed8; stroke-width: 1.4 } .slow { fill: #0f766e }
@media (prefers-color-scheme: dark) { text { fill: #ccc } .axis { stroke: #555 } .rate { stroke: #93c5fd } .slow { fill: #5eead4 } .mark { stroke: #fb923c } }
</style>
<text x="${LEFT}" y="16" font-size="14">${title}</text>
${panel(rate, TOP, 'calls a second', 'rate')}
${panel(slowest, TOP + PANEL + GAP, 'slowest call, ms', 'slow')}
${lines.join('\n')}
${ticks.join('\n')}
</svg>
`;
}

function panel(values: readonly number[], top: number, label: string, kind: 'rate' | 'slow'): string {
  const most = niceCeiling(Math.max(...values, 1));
  const step = (WIDTH - LEFT - RIGHT) / values.length;
  const y = (value: number): string => (top + PANEL - (value / most) * PANEL).toFixed(1);
  const drawn =
    kind === 'rate'
      ? `<polyline class="rate" points="${values.map((v, n) => `${(LEFT + (n + 0.5) * step).toFixed(1)},${y(v)}`).join(' ')}"/>`
      : values
          .map((v, n) => {
            const place = (LEFT + n * step).toFixed(1);
            return `<rect class="slow" x="${place}" y="${y(v)}" width="${Math.max(step - 0.4, 0.6).toFixed(2)}" height="${((v / most) * PANEL).toFixed(1)}"/>`;
          })
          .join('');
  const scale = [0, 0.5, 1].map(
    (share) =>
      `<text x="${LEFT - 8}" y="${(top + PANEL * (1 - share) + 4).toFixed(1)}" text-anchor="end">${most * share}</text>
<line class="axis" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${(top + PANEL * (1 - share)).toFixed(1)}" y2="${(top + PANEL * (1 - share)).toFixed(1)}" stroke-width="0.5"/>`,
  );
  return `<text x="${LEFT}" y="${top - 6}">${label}</text>\n${scale.join('\n')}\n${drawn}`;
}

function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 10].map((factor) => factor * power).find((nice) => nice >= value)!;
}
