import * as zlib from 'node:zlib';

/** Unpacks zstd. */
export type Unzstd = (packed: Uint8Array) => Uint8Array;

/** Node's own from 22.15 on, else the optional package `fzstd`; `null` when there is neither. */
export async function loadUnzstd(): Promise<Unzstd | null> {
  const own = (zlib as { zstdDecompressSync?: Unzstd }).zstdDecompressSync;
  if (own !== undefined) return own;
  const fzstd = await import('fzstd').catch(() => null);
  return fzstd === null ? null : (packed) => fzstd.decompress(packed);
}
