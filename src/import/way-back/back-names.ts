import { createHash } from 'node:crypto';
import type { SourceRow } from '../catalogue/source-rows.ts';
import type { SourceConfig } from '../config/source-config.ts';

/** Name of the slot and the publication that each server of the target has for the way back. */
export function backSlot({ replicationSlot }: SourceConfig): string {
  return `${replicationSlot.slice(0, 58)}_back`;
}

/** Under which key the old database keeps how far a server's changes are applied there. */
export function backKey({ key }: SourceRow, server: string): string {
  const hex = createHash('md5').update(`${key} ${server}`).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** The one server that the old database is accessed as, where our parts ask for a server's name. */
export const OLD_DATABASE = 'source';
