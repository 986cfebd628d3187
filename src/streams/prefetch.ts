/**
 * Pages of something, the next one asked for before the one in hand is given out: a reader that keeps up never waits for
 * a whole round trip, and one that does not keeps at most two pages in memory.
 *
 * Events that were read before a failure are given out first, then the failure is thrown, then it is over.
 *
 * @param first - the first page, read already: its failure is the caller's
 * @param next - reads the page behind another one; `undefined` when there is none
 */
export async function* prefetched<Page>(
  first: Page,
  next: (page: Page) => Promise<Page> | undefined,
): AsyncGenerator<Page, void, undefined> {
  let page: Page | undefined = first;
  while (page !== undefined) {
    const following: Promise<Page> | undefined = next(page);
    // Its failure is thrown when it is awaited; until then it must not count as unhandled.
    following?.catch(() => {});
    yield page;
    page = await following;
  }
}
