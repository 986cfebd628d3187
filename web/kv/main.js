import { session } from './api.js';
import { follow } from './follow.js';
import { Heads } from './heads.js';
import { keyList } from './key-list.js';
import { KeyView } from './key-view.js';
import { signIn } from './sign-in.js';

const place = (id) => document.getElementById(id);

await signIn(place('key'));
place('who').textContent = session.author === null ? '' : session.author;

const heads = new Heads();
const view = new KeyView(place('key'), heads);

function chosen() {
  try {
    return location.hash.length > 1 ? decodeURIComponent(location.hash.slice(1)) : undefined;
  } catch {
    return undefined;
  }
}

let shown = chosen();
addEventListener('hashchange', () => {
  if (chosen() === shown) return;
  if (view.changed && !confirm('Leave without saving?')) {
    location.hash = shown === undefined ? '' : encodeURIComponent(shown);
    return;
  }
  shown = chosen();
  void view.show(shown);
});
addEventListener('beforeunload', (event) => {
  if (view.changed) event.preventDefault();
});

keyList(place('keys'), heads, chosen, (key) => {
  location.hash = encodeURIComponent(key);
});
void view.show(shown);
void follow(heads, (state, error) => {
  const live = place('live');
  live.className = state;
  live.textContent = state === 'live' ? 'live' : 'not connected, trying again';
  live.title = error?.message ?? '';
  // The token was withdrawn: begin anew.
  if (error?.status === 401) location.reload();
});
