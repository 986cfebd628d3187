import type { Commit } from '../commit.ts';
import { answerJson, type Exchange } from './exchange.ts';
import { Refusal } from './refusal.ts';
import { parseYesNo } from './yes-no.ts';

/** `GET /`: the newest commit of every key; from the mirror when there is one, which knows no tombstones. */
export async function listHeads(exchange: Exchange): Promise<void> {
  const { query, options, access } = exchange;
  const all = yesNo(query, 'all');
  const payloadUtf8 = yesNo(query, 'payload_utf8');
  const payloadBase64 = yesNo(query, 'payload_base64');
  const heads = await headsOf(options, all);
  const keys = [...heads.keys()].filter((key) => access.mayRead(key)).sort();
  // Written by hand because an object would put keys like "10" first and lose "__proto__".
  const entries = keys.map((key) => {
    const commit = heads.get(key)!;
    return `${JSON.stringify(key)}:${JSON.stringify({
      ...commit.meta,
      ...(payloadUtf8 && commit.payload && { payload_utf8: commit.payload.toString('utf8') }),
      ...(payloadBase64 && commit.payload && { payload_base64: commit.payload.toString('base64') }),
    })}`;
  });
  answerJson(exchange, 200, `{${entries.join(',')}}`);
}

async function headsOf(
  { storage, mirror }: Exchange['options'],
  all: boolean,
): Promise<ReadonlyMap<string, Commit<unknown>>> {
  if (mirror !== undefined) return mirror.current;
  return all ? storage.heads() : storage.headsNonEmpty();
}

function yesNo(query: URLSearchParams, name: string): boolean {
  const value = parseYesNo(query.get(name) ?? 'false');
  if (value === undefined) throw new Refusal(400, `Invalid '${name}' parameter (should be boolean)`);
  return value;
}
