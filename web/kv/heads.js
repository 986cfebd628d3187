/**
 * The newest meta of every key, as the page knows it. Sends `change` events: `detail` is the keys that are different,
 * or `undefined` when all may be.
 */
export class Heads extends EventTarget {
  #metas = new Map();

  get(key) {
    return this.#metas.get(key);
  }

  /** By key, in the order of their code units as the server sorts them. */
  get sorted() {
    return [...this.#metas.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** Takes over a whole list. */
  replace(entries) {
    this.#metas = new Map(entries);
    this.dispatchEvent(new CustomEvent('change'));
  }

  /** Takes over one commit, unless a newer one is known. */
  apply(meta) {
    if ((this.#metas.get(meta.key)?.version ?? 0) >= meta.version) return;
    this.#metas.set(meta.key, meta);
    this.dispatchEvent(new CustomEvent('change', { detail: [meta.key] }));
  }
}
