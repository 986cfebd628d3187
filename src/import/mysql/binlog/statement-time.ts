import type { PacketReader } from './packet-reader.ts';

/** When a statement ran, as exactly as the binlog says it, and in which time zone. */
export interface StatementTime {
  readonly microseconds: number;
  /** `SYSTEM`, `+05:30`, `Europe/Vienna`; `null` when the statement made no use of it. */
  readonly timeZone: string | null;
}

export const QUERY_EVENTS: ReadonlySet<number> = new Set([2, 165]);

/** Sizes of the status variables of a query event that are of no interest (Query_log_event in sql/log_event.h). */
const FIXED: Record<number, number | undefined> = {
  0: 4,
  1: 8,
  3: 4,
  4: 6,
  7: 2,
  8: 2,
  9: 8,
  10: 4,
  16: 1,
  17: 8,
  18: 2,
  19: 1,
  20: 1,
  129: 8,
};
const TIME_ZONE = 5;
const CATALOG = 6;
const OLD_CATALOG = 2;
const INVOKER = 11;
const UPDATED_DATABASES = 12;
const MICROSECONDS = 13;
const MARIADB_MICROSECONDS = 128;

/**
 * Reads the status variables of a query event. An unknown one ends the reading, for its size is not known.
 * @param body - the event behind its 19-byte header
 */
export function readStatementTime(body: PacketReader): StatementTime {
  body.at += 11;
  const end = body.u16() + body.at;
  let microseconds = 0;
  let timeZone: string | null = null;
  while (body.at < end) {
    const code = body.u8();
    const size = FIXED[code];
    if (size !== undefined) body.at += size;
    else if (code === TIME_ZONE) timeZone = body.take(body.u8()).toString('latin1');
    else if (code === CATALOG) body.take(body.u8());
    else if (code === OLD_CATALOG) body.take(body.u8() + 1);
    else if (code === MICROSECONDS || code === MARIADB_MICROSECONDS) {
      microseconds = body.bytes.readUIntLE(body.at, 3);
      body.at += 3;
    } else if (code === INVOKER) {
      body.take(body.u8());
      body.take(body.u8());
    } else if (code === UPDATED_DATABASES) skipTexts(body);
    else break;
  }
  return { microseconds, timeZone };
}

function skipTexts(body: PacketReader): void {
  const count = body.u8();
  // 254 says that there are too many to name
  if (count === 254) return;
  for (let n = 0; n < count; n++) body.at = body.bytes.indexOf(0, body.at) + 1;
}
