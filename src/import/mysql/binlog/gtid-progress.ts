import { loadZongji } from '../driver.ts';

/** Keeps the GTID position that stands for "everything up to here". */
export interface GtidProgress {
  add(gtid: string): void;
  toString(): string;
}

/** @param start - the position to begin with; `null` when the server has no GTIDs */
export async function gtidProgress(
  start: string | null,
  { mariadb }: { mariadb: boolean },
): Promise<GtidProgress | null> {
  if (start === null) return null;
  if (mariadb) return new MariadbProgress(start);
  const { GtidSet } = await loadZongji();
  const set = GtidSet.parse(start.replace(/\s/g, ''));
  return { add: (gtid) => set.add(gtid), toString: () => set.toString() };
}

/** MariaDB: the last transaction of each domain. A later one replaces it, whatever its number: a failover may lower it. */
class MariadbProgress implements GtidProgress {
  readonly #domains = new Map<string, string>();

  constructor(start: string) {
    for (const gtid of start.split(',')) if (gtid.trim() !== '') this.add(gtid.trim());
  }

  add(gtid: string): void {
    this.#domains.set(gtid.slice(0, gtid.indexOf('-')), gtid);
  }

  toString(): string {
    return [...this.#domains.entries()]
      .sort(([a], [b]) => Number(a) - Number(b))
      .map(([, gtid]) => gtid)
      .join(',');
  }
}
