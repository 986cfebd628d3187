// npm run bench -- NAME asks one question; npm run bench asks all, npm run bench -- NAME NAME … some of them, and both
// write what was seen into bench/RESULTS.md. Answers of earlier runs stand in bench/results.json until they are asked anew.
// A question is a file beside this one that exports `run(): Promise<object[]>`.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { machine } from './support/machine.ts';
import type { Result } from './support/result.ts';
import { resultsPage } from './support/results-page.ts';

const folder = import.meta.dirname;
const self = 'run.ts';
const questions = readdirSync(folder)
  .filter((name) => name.endsWith('.ts') && name !== self && asks(join(folder, name)))
  .map((name) => name.slice(0, -3))
  .sort();
const words = process.argv.slice(2);
const unknown = words.filter((word) => !questions.includes(word));

if (unknown.length > 0) {
  console.error(`no such question: ${unknown.join(', ')}; there are ${questions.join(', ')}`);
  process.exitCode = 2;
} else if (words.length === 1) {
  await ask(words[0]!);
} else {
  await askAll(words.length === 0 ? questions : words);
}

/** A file beside the questions may also be part of one. */
function asks(path: string): boolean {
  return /^export (async function|const) run\b/m.test(readFileSync(path, 'utf8'));
}

async function ask(question: string): Promise<void> {
  const { run } = (await import(`./${question}.ts`)) as { run: () => Promise<object[]> };
  for (const result of await run()) console.log(`RESULT ${JSON.stringify(result)}`);
}

/** Each question in a process of its own: none inherits the heap or the compiled code of another. */
async function askAll(names: readonly string[]): Promise<void> {
  const file = join(folder, 'results.json');
  const known = JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as Record<string, Result[]>;
  for (const name of names) {
    console.log(`== ${name}`);
    const { lines, code } = await askApart(name);
    if (code !== 0) {
      console.error(`${name} failed`);
      process.exitCode = 1;
    } else {
      known[name] = lines.map((line) => JSON.parse(line) as Result);
    }
  }
  const kept = Object.fromEntries(Object.entries(known).sort(([a], [b]) => (a < b ? -1 : 1)));
  await writeFile(file, `${JSON.stringify(kept, null, 2)}\n`);
  await writeFile(join(folder, 'RESULTS.md'), resultsPage(Object.values(kept).flat(), await machine()));
  console.log('bench/RESULTS.md is written');
}

async function askApart(name: string): Promise<{ lines: string[]; code: number | null }> {
  const child = spawn(process.execPath, [...process.execArgv, join(folder, self), name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    process.stdout.write(chunk);
    text += chunk;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  const lines = text.split('\n').flatMap((line) => (line.startsWith('RESULT ') ? [line.slice(7)] : []));
  return { lines, code };
}
