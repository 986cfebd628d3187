import { readDiff, readHistory, rollback, session } from './api.js';
import { diffView } from './diff-view.js';
import { button, element, time } from './element.js';

/** The versions of a key, newest first, each with what it changed and a way back to it. */
export async function historyView(key, author) {
  const list = element('ol', { class: 'history' });
  const more = element('div');
  let newest;
  const load = async (before) => {
    const page = await readHistory(key, before);
    newest ??= page.versions[0]?.version;
    list.append(...page.versions.map((meta) => entry(meta)));
    const last = page.versions.at(-1)?.version;
    more.replaceChildren(page.more ? button('Older versions', () => load(last)) : '');
  };
  const entry = (meta) => {
    const { version, author: by, comment, mtime, empty } = meta;
    const shown = element('div');
    const toggle = button('What changed', async () => {
      if (shown.firstChild) shown.replaceChildren();
      else shown.replaceChildren(await diffOf(key, version));
    });
    const back =
      version !== newest &&
      session.mayWrite(key) &&
      button(empty ? 'Remove again' : `Roll back to version ${version}`, async () => {
        const words = `Bring back version ${version} of ${key} as a new version?`;
        if (confirm(words)) await rollback(key, version, { author: author(), from: newest });
      });
    return element(
      'li',
      {},
      element('b', {}, `Version ${version}`),
      empty ? ' (removed) ' : ' ',
      element('span', { class: 'author' }, by),
      ' ',
      time(mtime),
      element('p', { class: 'comment' }, comment),
      element('div', { class: 'buttons' }, toggle, back),
      shown,
    );
  };
  await load(undefined);
  return element('div', {}, list, more);
}

async function diffOf(key, version) {
  try {
    return diffView(await readDiff(key, version - 1, version));
  } catch (error) {
    if (error.status !== 404) throw error;
    return element('p', { class: 'note' }, 'The version before it is no longer kept.');
  }
}
