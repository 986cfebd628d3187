import { type ExpectedVersion, NewEvent } from '../streams/index.ts';
import { type DefineCommand, subcommand } from './context.ts';
import { defineStreamsGroups } from './streams-groups.ts';
import { count, eventLine, eventNumber, onStore } from './streams-store.ts';
import { UsageError } from './usage-error.ts';

/** `hypervault streams …`: events in the shards. */
export const defineStreams: DefineCommand = (group, context) => {
  const { output, signal } = context;

  const publish = subcommand(group, 'publish')
    .description('append an event to a stream')
    .argument('<stream>')
    .argument('<type>')
    .argument('[body]', 'JSON')
    .option('--metadata <json>', 'JSON')
    .option('--id <uuid>', 'publish it once, however often this is called')
    .option('--expect <version>', 'number of the last event, or any, noStream, streamExists');
  onStore<[string, string, string | undefined]>(publish, context, async (store, [stream, type, body], options) => {
    const { metadata, id, expect } = options as { metadata?: string; id?: string; expect?: string };
    const event = new NewEvent(type, { id, body, metadata });
    const result = await store.publish(stream, [event], { expectedVersion: expected(expect) });
    output.value(
      result,
      ({ lastEventNumber, repeated }) => `${stream} ${lastEventNumber}${repeated ? ' (was there)' : ''}`,
    );
  });

  const read = subcommand(group, 'read')
    .description("print the events of a stream, of a category ('order-*') or all ('$all')")
    .argument('<stream>')
    .option('--backward', 'from the last event on')
    .option('--from <number>', 'the first event')
    .option('-n, --max <count>', 'at most so many');
  onStore<[string]>(read, context, async (store, [stream], options) => {
    const { backward, from, max } = options as { backward?: boolean; from?: string; max?: string };
    const most = max === undefined ? Number.POSITIVE_INFINITY : count(max);
    const direction = backward ? 'backward' : 'forward';
    const fromEvent = from === undefined ? undefined : eventNumber(from);
    let printed = 0;
    for await (const event of store.iter(stream, { direction, fromEvent, signal })) {
      output.value(event, eventLine);
      printed += 1;
      if (printed >= most) break;
    }
  });

  const tail = subcommand(group, 'tail')
    .description('print events as they come, until Ctrl-C')
    .argument('<stream>', "a stream, a category ('order-*') or '$all'")
    .option('--from-beginning', 'history first');
  onStore<[string]>(tail, context, async (store, [stream], options) => {
    const live = await store.subscribeTo(stream, options.fromBeginning ? { startFrom: 'beginning' } : {});
    const stop = (): void => void live.unsubscribe();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    for await (const event of live.events) output.value(event, eventLine);
    signal.removeEventListener('abort', stop);
  });

  defineStreamsGroups(group, context);
};

function expected(text: string | undefined): ExpectedVersion | undefined {
  if (text === undefined || text === 'any' || text === 'noStream' || text === 'streamExists') return text;
  if (/^\d{1,18}$/.test(text)) return BigInt(text);
  throw new UsageError(`--expect: ${JSON.stringify(text)} is neither a number nor any, noStream or streamExists`);
}
