import { createInterface } from 'node:readline';
import type { Body, Key } from '../core/index.ts';
import { openVault } from '../vault.ts';
import { wholeNumber } from './arguments.ts';
import { type CliContext, type DefineCommand, withConfig } from './context.ts';
import { UsageError } from './usage-error.ts';

/** Entities written together. */
const BATCH = 500;

/** `hypervault put SHARD KIND FIELD=VALUE…`, a JSON object, or a line of JSON for each entity on standard input. */
export const definePut: DefineCommand = (command, context) => {
  withConfig(command)
    .argument('<shard>', 'the shard to write into', wholeNumber('shard', 0, 8191))
    .argument('<kind>', 'what sort of entity, a smallint', kindNumber)
    .argument('[body...]', 'field=value …, or one JSON object; without any, a JSON object per line of standard input')
    .addHelpText(
      'after',
      '\nExamples:\n  hypervault put 12 1 beep=boop\n  hypervault put 12 1 \'{"beep":"boop","none":null}\'',
    )
    .action(async (shardId: number, kind: number, words: string[], options: { config?: string }) => {
      const { output, signal } = context;
      // Read before anything is opened: a slip of the hand is told at once.
      const given = words.length > 0 ? [bodyOf(words)] : undefined;
      await using vault = await openVault(await context.configuration(options), { only: [] });
      const show = (key: Key): void =>
        output.value({ key, created: key.created, shardId: key.shardId }, () => key.toString());
      for await (const bodies of batches(given ?? bodiesFrom(context))) {
        for (const key of await vault.datastore.putMany(shardId, kind, bodies, { signal })) show(key);
      }
    });
};

function kindNumber(text: string): number {
  if (/^-?\d{1,5}$/.test(text) && Math.abs(Number(text) + 0.5) < 32_769) return Number(text);
  throw new UsageError(`kind: ${JSON.stringify(text)} is not a whole number from -32768 to 32767`);
}

function bodyOf(words: readonly string[]): Body {
  if (words.length === 1 && words[0]!.trimStart().startsWith('{')) return parseBody(words[0]!, 'body');
  const body: Body = {};
  for (const word of words) {
    const equals = word.indexOf('=');
    if (equals < 0) throw new UsageError(`body: ${JSON.stringify(word)} is not field=value, nor a JSON object`);
    const [field, value] = [word.slice(0, equals), word.slice(equals + 1)];
    if (Object.hasOwn(body, field)) throw new UsageError(`body: the field ${JSON.stringify(field)} is given twice`);
    Object.defineProperty(body, field, { value, enumerable: true, configurable: true, writable: true });
  }
  return body;
}

function parseBody(text: string, where: string): Body {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`${where}: ${(cause as Error).message}`, { cause });
  }
  // What its fields may hold is checked where bodies are encoded.
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Body;
  throw new UsageError(`${where}: must be a JSON object of texts and nulls`);
}

async function* bodiesFrom({ stdin, signal }: CliContext): AsyncGenerator<Body> {
  if (stdin.isTTY) throw new UsageError('give field=value, a JSON object, or a JSON object per line on standard input');
  let line = 0;
  for await (const text of createInterface({ input: stdin, signal })) {
    line += 1;
    if (text.trim() !== '') yield parseBody(text, `line ${line}`);
  }
}

async function* batches<T>(items: Iterable<T> | AsyncIterable<T>): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    if (batch.push(item) < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
