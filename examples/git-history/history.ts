import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';

/** One file as one commit changed it. */
export interface Change {
  readonly commit: string;
  readonly at: string;
  readonly author: string;
  readonly file: string;
  /** Lines; `null` for a file that is no text. */
  readonly added: number | null;
  readonly deleted: number | null;
}

const COMMIT = '\u001e';
const FIELD = '\u001f';

/** The history of the repository in a folder, oldest first; `undefined` when there is none. */
export async function gitHistory(folder: string): Promise<Change[] | undefined> {
  const format = `--format=${COMMIT}%H${FIELD}%aI${FIELD}%an`;
  const words = ['-C', folder, '-c', 'core.quotePath=false', 'log', '--reverse', '--no-renames', '--numstat', format];
  const log = await promisify(execFile)('git', words, { maxBuffer: 2 ** 30 }).catch(() => undefined);
  if (log === undefined) return undefined;
  const changes = log.stdout.split(COMMIT).slice(1).flatMap(changesOf);
  return changes.length === 0 ? undefined : changes;
}

function changesOf(text: string): Change[] {
  const [head, ...lines] = text.split('\n').filter((line) => line !== '');
  const [commit, at, author] = head!.split(FIELD);
  return lines.map((line) => {
    const [added, deleted, ...file] = line.split('\t');
    const count = (digits: string | undefined): number | null => (digits === '-' ? null : Number(digits));
    return {
      commit: commit!,
      at: at!,
      author: author!,
      file: file.join('\t'),
      added: count(added),
      deleted: count(deleted),
    };
  });
}

/** A history that nobody wrote, for where there is no repository: always the same one. */
export function madeUpHistory(commits = 800): Change[] {
  const authors = ['Ada', 'Barbara', 'Edsger', 'Grace', 'Tony'];
  let state = 1;
  const dice = (sides: number): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state % sides;
  };
  return Array.from({ length: commits }, (_, n) => {
    const commit = createHash('sha1').update(`commit ${n}`).digest('hex');
    const at = new Date(Date.UTC(2020, 0, 1) + n * 3_600_000).toISOString();
    const author = authors[dice(authors.length)]!;
    const files = new Set(Array.from({ length: 1 + dice(8) }, () => `src/part-${dice(12)}/file-${dice(9)}.ts`));
    return [...files].map((file) => ({ commit, at, author, file, added: dice(60), deleted: dice(30) }));
  }).flat();
}

/** An id that a change always has, so that a history that is imported again is not written again. */
export function idOf({ commit, file }: Change): string {
  const hex = createHash('sha1').update(`${commit} ${file}`).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `5${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  );
}
