import { session } from './api.js';
import { element } from './element.js';

/** More than anyone reads; the others are found by typing. */
const MAX_SHOWN = 500;

/**
 * The keys beside the page, with a filter; the chosen one is the page's fragment.
 *
 * @param {HTMLElement} place
 * @param {import('./heads.js').Heads} heads
 * @param {() => string | undefined} chosen
 * @param {(key: string) => void} choose
 */
export function keyList(place, heads, chosen, choose) {
  const filter = element('input', {
    type: 'search',
    placeholder: 'Find a key',
    id: 'filter',
    'aria-label': 'Find a key',
  });
  const removed = element('input', { type: 'checkbox', id: 'removed' });
  const list = element('ul');
  const rest = element('p', { class: 'note' });
  const fresh = element('input', { placeholder: 'New key', id: 'new-key', 'aria-label': 'New key' });
  const make = element('form', { class: 'new-key' }, fresh, element('button', { type: 'submit' }, 'New'));
  make.onsubmit = (event) => {
    event.preventDefault();
    if (fresh.value !== '') choose(fresh.value);
    fresh.value = '';
  };

  const show = () => {
    const wanted = heads.sorted.filter(({ key, empty }) => key.includes(filter.value) && (!empty || removed.checked));
    list.replaceChildren(...wanted.slice(0, MAX_SHOWN).map((meta) => entry(meta)));
    const more = wanted.length - MAX_SHOWN;
    rest.textContent = more > 0 ? `${more} more: type a part of the key` : wanted.length === 0 ? 'No keys' : '';
    make.hidden = session.write.length === 0;
  };
  const entry = ({ key, version, empty }) => {
    const link = element('a', { href: `#${encodeURIComponent(key)}` }, key);
    if (key === chosen()) link.setAttribute('aria-current', 'true');
    return element('li', { class: empty ? 'gone' : '' }, link, element('span', { class: 'version' }, ` ${version}`));
  };

  // Many commits in one moment are one drawing.
  let due = false;
  const showSoon = () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      show();
    });
  };
  filter.oninput = show;
  removed.onchange = show;
  heads.addEventListener('change', showSoon);
  addEventListener('hashchange', show);
  place.replaceChildren(filter, element('label', { class: 'option' }, removed, ' removed keys, too'), list, rest, make);
  show();
}
