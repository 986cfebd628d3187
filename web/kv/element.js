/**
 * Makes an element. Texts become text nodes and nothing else, so no key, payload or comment can become markup.
 *
 * @param {string} tag
 * @param {Record<string, unknown>} [properties] `class`, `on…` handlers; others are properties of the element
 * @param {...(Node | string | null | undefined | false)} children
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    if (name === 'class') made.className = String(value);
    else if (name.startsWith('aria-')) made.setAttribute(name, String(value));
    else made[name] = value;
  }
  for (const child of children) if (child) made.append(child);
  return made;
}

/** A button that can't be pressed again while its action is under way; what goes wrong is shown beside it. */
export function button(label, action, properties = {}) {
  const made = element('button', { type: 'button', ...properties }, label);
  made.onclick = async () => {
    made.disabled = true;
    try {
      await action();
    } catch (error) {
      showFailure(made, error);
    } finally {
      made.disabled = false;
    }
  };
  return made;
}

/** Says what went wrong, once, behind an element. */
function showFailure(beside, error) {
  const next = beside.parentElement?.querySelector(':scope > .failure');
  next?.remove();
  beside.parentElement?.append(element('p', { class: 'failure', role: 'alert' }, error.message));
}

/** When something happened, for people; the exact time is in the title. */
export function time(iso) {
  const date = new Date(iso);
  return element('time', { dateTime: iso, title: iso }, date.toLocaleString());
}
