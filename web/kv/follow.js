import { call, listHeads } from './api.js';

const PAUSE_MS = 1_000;
/** Where the storage has no revisions to watch. */
const POLL_MS = 5_000;

/**
 * Keeps `heads` up to date for ever: lists all keys, then follows every commit after that list; after a cut goes on
 * from the last revision seen, and lists anew when the server says that the history from there is no longer whole.
 * (EventSource can't send a token, so the stream is read by hand.)
 *
 * @param {import('./heads.js').Heads} heads
 * @param {(state: 'live' | 'away', error?: Error) => void} onState
 */
export async function follow(heads, onState) {
  for (;;) {
    try {
      const { heads: entries, revision } = await listHeads();
      heads.replace(entries);
      onState('live');
      if (revision === null) await pause(POLL_MS);
      else await followFrom(revision, heads, onState);
    } catch (error) {
      onState('away', error);
      await pause(PAUSE_MS);
    }
  }
}

/** Returns when the keys must be listed anew. */
async function followFrom(revision, heads, onState) {
  for (let after = revision; ; ) {
    try {
      const response = await call(`-/watch?after=${after}`, { headers: { Accept: 'text/event-stream' } });
      onState('live');
      for await (const { name, id, data } of events(response.body)) {
        if (name === 'compacted') return;
        if (name === 'commit') heads.apply(JSON.parse(data));
        if (id !== undefined) after = id;
      }
    } catch (error) {
      if (error.status === 410) return;
      if (error.status === 401 || error.status === 501) throw error;
      onState('away', error);
    }
    await pause(PAUSE_MS);
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const event = { name: 'message', id: undefined, data: '' };
      for (const line of block.split('\n')) {
        const [, field, text] = /^(event|id|data): (.*)$/.exec(line) ?? [];
        if (field === 'event') event.name = text;
        else if (field === 'id') event.id = text;
        else if (field === 'data') event.data += text;
      }
      if (event.data !== '') yield event;
    }
  }
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
