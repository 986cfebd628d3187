import { readDiff, save, session } from './api.js';
import { diffView } from './diff-view.js';
import { button, element } from './element.js';
import { lineEnds } from './payload.js';

/**
 * Edits one key: text, author, comment; shows what would change before it is saved. When somebody else saves meanwhile
 * it warns, shows their change, and saves only on top of it, never over it unseen.
 */
export class Editor {
  #key;
  #original;
  #base;
  #done;
  #saving = false;
  #text;
  #comment = element('input', { id: 'comment', placeholder: 'Why?', autocomplete: 'off' });
  #author = element('input', {
    id: 'author',
    autocomplete: 'username',
    value: localStorage.getItem('hypervault-author') ?? '',
  });
  #warning = element('div', { class: 'warning', role: 'alert', hidden: true });
  #review = element('div', { class: 'review' });
  element;

  /**
   * @param {{ key: string, version: number, text: string }} start the version the edit begins with; 0 for a new key
   * @param {(saved: object | undefined) => void} done called at the end, with the saved meta or nothing
   */
  constructor({ key, version, text }, done) {
    this.#key = key;
    this.#base = version;
    this.#original = text;
    this.#done = done;
    this.#text = element('textarea', { id: 'text', spellcheck: false, value: text, 'aria-label': 'Payload' });
    this.#text.rows = Math.min(40, Math.max(8, text.split('\n').length + 1));
    this.#text.oninput = this.#comment.oninput = () => this.#review.replaceChildren();
    this.element = element(
      'div',
      { class: 'editor' },
      this.#warning,
      lineEnds(text).mixed && element('p', { class: 'note' }, 'Line ends are mixed here; saving makes them all LF.'),
      this.#text,
      element('label', { htmlFor: 'comment' }, 'Comment'),
      this.#comment,
      session.author === null && element('label', { htmlFor: 'author' }, 'Author'),
      session.author === null && this.#author,
      element(
        'div',
        { class: 'buttons' },
        button('Review…', () => this.#show()),
        button('Cancel', () => done(undefined)),
      ),
      this.#review,
    );
  }

  /** Whether leaving would lose something. */
  get changed() {
    return this.#text.value !== this.#original.replaceAll('\r\n', '\n');
  }

  /** Told of every version that the page learns of. */
  async onHead(meta) {
    // While a save is under way its own answer says whether it won.
    if (meta.version <= this.#base || this.#saving) return;
    const seen = this.#base;
    this.#review.replaceChildren();
    const theirs = await readDiff(this.#key, seen, meta.version).catch((error) => error);
    const words = `${meta.author || 'Somebody'} ${meta.empty ? 'removed this key' : `saved version ${meta.version}`} while you were editing version ${seen}.`;
    const goOn = button('Keep my text, on top of theirs', () => {
      this.#base = meta.version;
      this.#warning.hidden = true;
    });
    this.#warning.replaceChildren(
      element('p', {}, words, meta.comment ? ` Their comment: ${meta.comment}` : ''),
      theirs instanceof Error ? element('p', { class: 'failure' }, theirs.message) : diffView(theirs),
      element(
        'div',
        { class: 'buttons' },
        goOn,
        button('Drop my text', () => this.#done(undefined)),
      ),
    );
    this.#warning.hidden = false;
  }

  async #show() {
    const payload = new TextEncoder().encode(lineEnds(this.#original).restore(this.#text.value));
    const said = { author: this.#author.value, comment: this.#comment.value };
    localStorage.setItem('hypervault-author', said.author);
    const { diff } = await this.#orWarn(() => save(this.#key, this.#base + 1, payload, { ...said, dryRun: true }));
    if (diff === '') return this.#review.replaceChildren(diffView(''));
    this.#review.replaceChildren(
      diffView(diff),
      button(`Save version ${this.#base + 1}`, async () => {
        this.#done((await this.#orWarn(() => save(this.#key, this.#base + 1, payload, said))) ?? undefined);
      }),
    );
  }

  /** A conflict may be news to this page: the warning is the same. */
  async #orWarn(work) {
    this.#saving = true;
    try {
      return await work();
    } catch (error) {
      this.#saving = false;
      const version = (error.conflict?.expectedVersion ?? 0) - 1;
      if (version > this.#base) await this.onHead({ version, author: '', comment: '', empty: false });
      throw error;
    } finally {
      this.#saving = false;
    }
  }
}
