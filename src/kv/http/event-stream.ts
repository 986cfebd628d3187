/** One Server-Sent Event. */
export interface ServerEvent {
  readonly name: string;
  readonly id: string | undefined;
  readonly data: string;
}

/** Longest event that is taken; a commit of 16 MiB in base64 fits. */
const MAX_EVENT_CHARACTERS = 64 * 1024 * 1024;

/** Reads Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html) out of chunks of bytes. */
export async function* readEvents(chunks: AsyncIterable<Buffer>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let rest: string[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    const text = decoder.decode(chunk, { stream: true });
    rest.push(text);
    size += text.length;
    if (size > MAX_EVENT_CHARACTERS) throw new Error('an event of the watch is too long');
    // Large events come in many chunks: only look for an end where one came.
    if (!text.includes('\n')) continue;
    const events = rest.join('').split('\n\n');
    const last = events.pop()!;
    rest = [last];
    size = last.length;
    for (const event of events) {
      const parsed = parseEvent(event);
      if (parsed !== undefined) yield parsed;
    }
  }
}

/** Comments and events without data are nothing. */
function parseEvent(text: string): ServerEvent | undefined {
  let name = 'message';
  let id: string | undefined;
  const data: string[] = [];
  for (const line of text.split('\n')) {
    const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === 'event') name = value;
    else if (field === 'id') id = value;
    else if (field === 'data') data.push(value);
  }
  return data.length === 0 ? undefined : { name, id, data: data.join('\n') };
}
