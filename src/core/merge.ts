/**
 * Merges sorted sources into one sorted sequence, holding one item of each at a time (k-way merge on a binary heap).
 * When it ends early, by a `break` or an error, every source is told to end.
 *
 * @param compare - the order every source is sorted by; equal items come in the order of the sources
 */
export async function* mergeSorted<Item>(
  sources: readonly AsyncIterable<Item>[],
  compare: (a: Item, b: Item) => number,
): AsyncGenerator<Item, void, undefined> {
  const iterators = sources.map((source) => source[Symbol.asyncIterator]());
  try {
    const heads = await Promise.all(iterators.map(async (iterator, place) => ({ place, next: await iterator.next() })));
    const heap = new Heap<{ place: number; item: Item }>(
      (a, b) => compare(a.item, b.item) || a.place - b.place,
      heads.flatMap(({ place, next }) => (next.done ? [] : [{ place, item: next.value }])),
    );
    for (let top = heap.top; top !== undefined; top = heap.top) {
      yield top.item;
      const next = await iterators[top.place]!.next();
      if (next.done) heap.removeTop();
      else heap.replaceTop({ place: top.place, item: next.value });
    }
  } finally {
    await Promise.allSettled(iterators.map((iterator) => iterator.return?.()));
  }
}

/** A binary heap whose smallest item is on top. */
class Heap<Item> {
  readonly #items: Item[];
  readonly #compare: (a: Item, b: Item) => number;

  constructor(compare: (a: Item, b: Item) => number, items: Item[]) {
    this.#compare = compare;
    this.#items = items.sort(compare); // a sorted array is a heap
  }

  get top(): Item | undefined {
    return this.#items[0];
  }

  replaceTop(item: Item): void {
    this.#items[0] = item;
    this.#sink();
  }

  removeTop(): void {
    const last = this.#items.pop();
    if (last === undefined || this.#items.length === 0) return;
    this.#items[0] = last;
    this.#sink();
  }

  #sink(): void {
    const items = this.#items;
    const item = items[0]!;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && this.#compare(items[child + 1]!, items[child]!) < 0) child += 1;
      if (this.#compare(item, items[child]!) <= 0) break;
      items[place] = items[child]!;
      place = child;
    }
    items[place] = item;
  }
}
