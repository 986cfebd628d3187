import { isUtf8 } from 'node:buffer';
import type { Commit } from '../commit.ts';
import { commitHeaders } from './commit-headers.ts';
import { entityTagOf } from './entity-tag.ts';
import { answer, answerJson, type Exchange, PAYLOAD_TYPES } from './exchange.ts';
import { answerNotModified, taggedHeaders } from './preconditions.ts';
import { Refusal } from './refusal.ts';
import { parseVersion } from './target.ts';

/** `GET /KEY`: the newest payload, from the mirror when there is one. */
export async function getHead(exchange: Exchange): Promise<void> {
  sendPayload(exchange, await findHead(exchange));
}

/** `GET /KEY/meta` */
export async function getHeadMeta(exchange: Exchange): Promise<void> {
  sendMeta(exchange, await findHead(exchange));
}

/** `GET /KEY/VERSION`: always from the storage. */
export async function getVersion(exchange: Exchange): Promise<void> {
  sendPayload(exchange, await findVersion(exchange));
}

/** `GET /KEY/VERSION/meta` */
export async function getVersionMeta(exchange: Exchange): Promise<void> {
  sendMeta(exchange, await findVersion(exchange));
}

async function findHead({ key, options }: Exchange): Promise<Commit<unknown> | null> {
  return options.mirror === undefined ? options.storage.get(key) : (options.mirror.current.get(key) ?? null);
}

async function findVersion({ key, version: text, options }: Exchange): Promise<Commit<unknown> | null> {
  const version = parseVersion(text);
  return version > 0 ? options.storage.get(key, version) : null;
}

function sendPayload(exchange: Exchange, commit: Commit<unknown> | null): void {
  if (commit === null) throw new Refusal(404, 'Key not found');
  const tag = entityTagOf(commit);
  const headers = [...commitHeaders(commit), ...taggedHeaders(tag)];
  if (answerNotModified(exchange, tag, headers)) return;
  const payload = commit.payload ?? Buffer.alloc(0);
  answer(exchange, 200, isUtf8(payload) ? PAYLOAD_TYPES.text : PAYLOAD_TYPES.bytes, payload, headers);
}

function sendMeta(exchange: Exchange, commit: Commit<unknown> | null): void {
  if (commit === null) throw new Refusal(404, 'Key not found');
  const tag = entityTagOf(commit);
  const headers = taggedHeaders(tag);
  if (!answerNotModified(exchange, tag, headers)) answerJson(exchange, 200, JSON.stringify(commit.meta), headers);
}
