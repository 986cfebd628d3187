import { createInterface } from 'node:readline/promises';
import { HypervaultError } from '../errors.ts';
import type { CliContext } from './context.ts';

/** Asks until the answer is yes or no. @throws HypervaultError when the input ends without either */
export async function askYesNo(question: string, { stdin, output, signal }: CliContext): Promise<boolean> {
  const lines = createInterface({ input: stdin, terminal: false });
  try {
    output.plain(`${question} (yes/no)? `);
    signal.addEventListener('abort', () => lines.close(), { once: true });
    for await (const line of lines) {
      if (line === 'yes' || line === 'no') return line === 'yes';
      output.plain("Please type 'yes' or 'no': ");
    }
    throw new HypervaultError('NO_ANSWER', 'the input ended without an answer');
  } finally {
    lines.close();
  }
}
