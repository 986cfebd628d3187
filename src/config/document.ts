import { basename } from 'node:path';
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
} from 'yaml';
import { ConfigurationError } from '../errors.ts';
import { type Environment, substitute, typed } from './environment.ts';
import type { Locate, Path } from './location.ts';

/** A configuration as it was read from a file, not checked yet. */
export interface ParsedConfiguration {
  readonly value: unknown;
  readonly locate: Locate;
}

/**
 * Reads YAML, or JSON, which is YAML too.
 *
 * @param file - its path, for messages
 * @throws ConfigurationError with file and line
 */
export function parseConfiguration(text: string, file: string, environment: Environment): ParsedConfiguration {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [problem] = [...document.errors, ...document.warnings];
  const name = basename(file);
  if (problem !== undefined) {
    const { line, col } = lines.linePos(problem.pos[0]);
    const unquoted = /[:,[]\s*\$\{/.test(text.split('\n')[line - 1] ?? '');
    const hint = unquoted ? `; inside { … } a variable must be quoted: '\${NAME}'` : '';
    throw new ConfigurationError(`${name}:${line}:${col}: ${problem.message}${hint}`);
  }
  const locate: Locate = (path) => {
    const line = lines.linePos(offsetOf(document, path)).line;
    return path.length === 0 ? name : `${name}:${line}: ${path.join('.')}`;
  };
  fillIn(document.contents, [], { environment, locate });
  try {
    return { value: document.toJS({ maxAliasCount: 100 }), locate };
  } catch (cause) {
    throw new ConfigurationError(`${name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

interface Filling {
  readonly environment: Environment;
  readonly locate: Locate;
}

/** Substitutes variables in every value; keys stay as they are. */
function fillIn(node: Node | null, path: Path, how: Filling): void {
  if (isMap(node)) {
    for (const { key, value } of node.items) fillIn(value as Node | null, [...path, keyText(key)], how);
  } else if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) fillIn(item as Node | null, [...path, index], how);
  } else if (isScalar(node) && typeof node.value === 'string' && node.value.includes('${')) {
    const text = substitute(node.value, how.environment, how.locate(path));
    const alone = /^\$\{[^}]*\}$/.test(node.value);
    (node as Scalar).value = alone ? typed(text, path.at(-1)) : text;
  }
}

/** Where the value of a path begins, its key if it has one; of a path that leads nowhere, as far as it leads. */
function offsetOf(document: Document, path: Path): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => keyText(key) === String(step));
      if (pair === undefined) break;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(step)];
      offset = (node as Node | undefined)?.range?.[0] ?? offset;
    } else {
      break;
    }
  }
  return offset;
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : String(key);
}
