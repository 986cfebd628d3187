// What the demo prints: colours and a moving line on a terminal, plain lines into a pipe.
import pc from 'picocolors';

const terminal = process.stdout.isTTY === true;
// picocolors takes CI for a terminal; a log file is none.
const { bold } = pc.createColors(terminal && pc.isColorSupported);
let steps = 0;

export function step(text: string): void {
  steps += 1;
  console.log(`\n${bold(`${steps}. ${text}`)}`);
}

export function say(text: string): void {
  console.log(`   ${text}`);
}

/** How far a job has come: a line that moves on a terminal; into a pipe only its end is printed. */
export function progress(what: string): { at(done: number, total: number): void; end(text: string): void } {
  let shown = 0;
  return {
    at: (done, total) => {
      if (!terminal || performance.now() - shown < 50) return;
      shown = performance.now();
      process.stdout.write(`\r   ${what}: ${number(done)} of ${number(total)}\x1b[K`);
    },
    end: (text) => {
      if (terminal) process.stdout.write('\r\x1b[K');
      say(text);
    },
  };
}

/** Columns of equal width. */
export function table(rows: readonly (readonly string[])[]): void {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const row of rows)
    say(
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    );
}

export const number = (value: number): string => value.toLocaleString('en');

export const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
