import type { IndexAction, SearchIndex } from './search-index.ts';

/** A search index inside the process: for each word the documents that hold it. */
export class MemoryIndex implements SearchIndex {
  readonly #wordsOf = new Map<string, ReadonlySet<string>>();
  readonly #idsWith = new Map<string, Set<string>>();

  get size(): number {
    return this.#wordsOf.size;
  }

  async apply(actions: readonly IndexAction[]): Promise<void> {
    for (const action of actions) {
      if (action.type === 'delete') this.#remove(action.id);
      else this.#add(action.document.id, wordsIn(Object.values(action.document.fields).join(' ')));
    }
  }

  async search(words: string): Promise<readonly string[]> {
    const [first, ...others] = [...wordsIn(words)].map((word) => this.#idsWith.get(word) ?? new Set<string>());
    return [...(first ?? [])].filter((id) => others.every((ids) => ids.has(id)));
  }

  #add(id: string, words: ReadonlySet<string>): void {
    this.#remove(id);
    this.#wordsOf.set(id, words);
    for (const word of words) {
      const ids = this.#idsWith.get(word);
      if (ids) ids.add(id);
      else this.#idsWith.set(word, new Set([id]));
    }
  }

  #remove(id: string): void {
    for (const word of this.#wordsOf.get(id) ?? []) {
      const ids = this.#idsWith.get(word);
      ids?.delete(id);
      if (ids?.size === 0) this.#idsWith.delete(word);
    }
    this.#wordsOf.delete(id);
  }
}

function wordsIn(text: string): ReadonlySet<string> {
  return new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []);
}
