import { readPayload, save, session } from './api.js';
import { Editor } from './editor.js';
import { button, element, time } from './element.js';
import { historyView } from './history.js';
import { hexOf, textOf } from './payload.js';

/** What is shown of one key: its newest version, its history, or its editor. */
export class KeyView {
  #place;
  #heads;
  #key;
  #editor;
  #drawing = 0;

  constructor(place, heads) {
    this.#place = place;
    this.#heads = heads;
    heads.addEventListener('change', ({ detail }) => {
      if (this.#key === undefined || (detail && !detail.includes(this.#key))) return;
      const meta = heads.get(this.#key);
      if (this.#editor === undefined) void this.#draw();
      else if (meta !== undefined) void this.#editor.onHead(meta);
    });
  }

  /** Whether leaving would lose something. */
  get changed() {
    return this.#editor?.changed ?? false;
  }

  async show(key) {
    this.#key = key;
    this.#editor = undefined;
    await this.#draw();
  }

  async #draw() {
    const [key, mine] = [this.#key, ++this.#drawing];
    if (key === undefined) return this.#place.replaceChildren(element('p', { class: 'note' }, 'Choose a key.'));
    const children = [element('h2', {}, key)];
    try {
      const meta = this.#heads.get(key);
      const bytes = meta === undefined || meta.empty ? null : await readPayload(key, meta.version);
      const text = bytes === null ? '' : textOf(bytes);
      children.push(
        meta === undefined ? element('p', { class: 'note' }, 'A key that is not there yet.') : factsOf(meta),
      );
      if (bytes !== null) {
        children.push(element('pre', { class: 'payload' }, text ?? hexOf(bytes)));
        if (text === undefined)
          children.push(element('p', { class: 'note' }, `${bytes.length} bytes that are no text`));
      }
      if (session.mayWrite(key) && text !== undefined) {
        children.push(this.#buttons(meta, { key, version: meta?.version ?? 0, text }));
      }
      if (meta !== undefined) {
        children.push(element('h3', {}, 'History'));
        children.push(await historyView(key, () => localStorage.getItem('hypervault-author') ?? ''));
      }
    } catch (error) {
      children.push(element('p', { class: 'failure', role: 'alert' }, error.message));
    }
    // Something newer may have been drawn, or an edit begun, while this was waiting.
    if (mine === this.#drawing && this.#editor === undefined) this.#place.replaceChildren(...children);
  }

  #buttons(meta, start) {
    const edit = button(meta === undefined ? 'Write' : 'Edit', () => this.#edit(start));
    const remove =
      meta !== undefined &&
      !meta.empty &&
      button('Remove', async () => {
        if (!confirm(`Remove ${meta.key}? Its history stays.`)) return;
        const author = localStorage.getItem('hypervault-author') ?? '';
        this.#heads.apply(await save(meta.key, meta.version + 1, null, { author, comment: 'removed' }));
      });
    return element('div', { class: 'buttons' }, edit, remove);
  }

  #edit(start) {
    this.#editor = new Editor(start, (saved) => {
      this.#editor = undefined;
      if (saved !== undefined) this.#heads.apply(saved);
      void this.#draw();
    });
    this.#place.replaceChildren(element('h2', {}, start.key), this.#editor.element);
    // A version that came between drawing and editing.
    const meta = this.#heads.get(start.key);
    if (meta !== undefined) void this.#editor.onHead(meta);
  }
}

function factsOf({ version, author, comment, mtime, empty }) {
  return element(
    'p',
    { class: 'facts' },
    element('b', {}, `Version ${version}`),
    empty ? ' (removed) by ' : ' by ',
    element('span', { class: 'author' }, author || 'nobody named'),
    ', ',
    time(mtime),
    element('span', { class: 'comment' }, comment),
  );
}
