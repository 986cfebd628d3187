import { element } from './element.js';

/** A unified diff, coloured: each line is a text of its own class. */
export function diffView(diff) {
  if (diff === null) return element('p', { class: 'note' }, 'Too long to be compared here.');
  if (diff === '') return element('p', { class: 'note' }, 'No difference.');
  const view = element('pre', { class: 'diff' });
  diff
    .replace(/\n$/, '')
    .split('\n')
    .forEach((line, index) => {
      const kind = index < 2 ? 'file' : kindOf(line);
      view.append(element('span', { class: kind }, `${line}\n`));
    });
  return view;
}

function kindOf(line) {
  if (line.startsWith('@@')) return 'hunk';
  if (line.startsWith('+')) return 'added';
  return line.startsWith('-') ? 'removed' : 'same';
}
