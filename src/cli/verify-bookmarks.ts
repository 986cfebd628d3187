import { readFile, rename, writeFile } from 'node:fs/promises';
import type { VerifyPosition } from '../cluster/index.ts';
import { ConfigurationError } from '../errors.ts';

/** What is kept of a run: where each shard stands, and which were found the same. */
interface Kept {
  readonly from: string;
  readonly to: string;
  readonly shards: Record<string, 'same' | VerifyPosition>;
}

/** Where a comparison stands, in a file: a run that is stopped goes on from there. It never passes a difference. */
export class VerifyBookmarks {
  readonly #file: string | undefined;
  readonly #kept: Kept;
  #writing: Promise<void> = Promise.resolve();

  private constructor(file: string | undefined, kept: Kept) {
    this.#file = file;
    this.#kept = kept;
  }

  /** @throws ConfigurationError when the file is of another comparison, or no such file at all */
  static async open(file: string | undefined, from: string, to: string): Promise<VerifyBookmarks> {
    const kept = file === undefined ? undefined : await readKept(file);
    if (kept !== undefined && (kept.from !== from || kept.to !== to)) {
      throw new ConfigurationError(`${file} is of a comparison of ${kept.from} with ${kept.to}; name another file`);
    }
    return new VerifyBookmarks(file, kept ?? { from, to, shards: {} });
  }

  /** `'same'`, a position to go on from, or `undefined` for the beginning. */
  of(shardId: number): 'same' | VerifyPosition | undefined {
    return this.#kept.shards[shardId];
  }

  set(shardId: number, place: 'same' | VerifyPosition): void {
    this.#kept.shards[shardId] = place;
    const file = this.#file;
    if (file === undefined) return;
    this.#writing = this.#writing.then(async () => {
      await writeFile(`${file}.new`, `${JSON.stringify(this.#kept, null, 1)}\n`);
      await rename(`${file}.new`, file);
    });
    // Told by written().
    this.#writing.catch(() => {});
  }

  /** Resolves when all is on disk. */
  written(): Promise<void> {
    return this.#writing;
  }
}

async function readKept(file: string): Promise<Kept | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const kept = JSON.parse(text) as Partial<Kept> | null;
    if (kept?.from && kept.to && typeof kept.shards === 'object') return kept as Kept;
  } catch {
    // Told below.
  }
  throw new ConfigurationError(`${file} was not written by hypervault verify; name another file`);
}
