import { linkSignals } from '../../internal/link-signals.ts';

/** Works on all items at once; the first that fails stops the others, and all have ended before its error is thrown. */
export async function together<Item>(
  items: readonly Item[],
  outer: AbortSignal | undefined,
  work: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  using linked = linkSignals([outer, stop.signal]);
  let first: { error: unknown } | undefined;
  await Promise.all(
    items.map((item) =>
      work(item, linked.signal).catch((error: unknown) => {
        first ??= { error };
        stop.abort();
      }),
    ),
  );
  if (first !== undefined) throw first.error;
}
