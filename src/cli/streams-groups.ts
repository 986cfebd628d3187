import { type DefineCommand, subcommand } from './context.ts';
import { count, eventLine, onStore } from './streams-store.ts';

/** `hypervault streams groups | parked | replay | stats`: persistent subscriptions. */
export const defineStreamsGroups: DefineCommand = (group, context) => {
  const { output } = context;

  onStore(subcommand(group, 'groups').description('list the persistent subscriptions'), context, async (store) => {
    output.list(
      await store.listSubscriptions(),
      ['group', 'stream', 'strategy', 'lag', 'settled', 'retrying', 'parked', 'consumers'],
      ({ name, source, strategy, lag, settled, retrying, parked, consumers }) => [
        name,
        source,
        strategy,
        lag,
        settled,
        retrying,
        parked,
        consumers,
      ],
    );
  });

  const stats = subcommand(group, 'stats')
    .description('what a persistent subscription is doing, shard by shard')
    .argument('<group>')
    .argument('<stream>');
  onStore<[string, string]>(stats, context, async (store, [name, stream]) => {
    const { shards } = await store.subscriptionStats(name, stream);
    output.list(
      shards,
      ['shard', 'settled to', 'end', 'lag', 'settled', 'retrying', 'parked', 'consumers'],
      ({ shardId, settledTo, endedAt, lag, settled, retrying, parked, consumers }) => [
        shardId,
        settledTo,
        endedAt,
        lag,
        settled,
        retrying,
        parked,
        consumers.map(({ label }) => label).join(', '),
      ],
    );
  });

  const parked = subcommand(group, 'parked')
    .description('print the events that a persistent subscription has put aside')
    .argument('<group>')
    .argument('<stream>');
  onStore<[string, string]>(parked, context, async (store, [name, stream]) => {
    for await (const item of store.parked(name, stream)) {
      output.value(item, ({ event, attempts, reason }) => `${eventLine(event)}\n  ${attempts} tries: ${reason ?? ''}`);
    }
  });

  const replay = subcommand(group, 'replay')
    .description('put parked events back into work')
    .argument('<group>')
    .argument('<stream>')
    .option('-n, --max <count>', 'at most so many, the oldest first');
  onStore<[string, string]>(replay, context, async (store, [name, stream], { max }) => {
    const maxCount = max === undefined ? undefined : count(String(max));
    const replayed = await store.replayParked(name, stream, { maxCount });
    output.value({ replayed }, () => `${replayed} put back`);
  });
};
