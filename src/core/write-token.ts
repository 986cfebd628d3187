import { InvalidArgumentError } from '../errors.ts';

/** A place in a server's log, as a number; Postgres writes it `16/B374D848`. */
export type Lsn = bigint;

/** @throws InvalidArgumentError */
export function parseLsn(text: string): Lsn {
  const [, high, low] = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text) ?? [];
  if (high === undefined || low === undefined) throw new InvalidArgumentError(`${JSON.stringify(text)} is no LSN`);
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

const LONGEST = 65_536;

/**
 * What one caller has written: for each server the place in its log behind the last write, and the newest shard map at
 * which anything was written. As text it fits into a cookie.
 */
export class WriteToken {
  readonly #behind = new Map<string, Lsn>();
  #epoch = 0n;

  /**
   * Reads what {@link toString} wrote.
   * @throws InvalidArgumentError
   */
  static parse(text: string): WriteToken {
    const token = new WriteToken();
    if (text === '') return token;
    const [epoch, ...servers] = text.length > LONGEST ? [''] : text.split('&');
    if (!/^\d{1,18}$/.test(epoch!)) throw new InvalidArgumentError('the write token is not one that a caller gave out');
    token.#epoch = BigInt(epoch!);
    for (const server of servers) {
      const [name, lsn = '', more] = server.split('=');
      if (!/^[0-9a-f]{1,16}$/.test(lsn) || more !== undefined) {
        throw new InvalidArgumentError('the write token is not one that a caller gave out');
      }
      token.#behind.set(decoded(name!), BigInt(`0x${lsn}`));
    }
    return token;
  }

  /** Of the newest shard map at which something was written. */
  get epoch(): bigint {
    return this.#epoch;
  }

  /** The place that must have been replayed to see everything this caller wrote on the server; 0 for none. */
  behind(server: string): Lsn {
    return this.#behind.get(server) ?? 0n;
  }

  /** Something was written: places only grow. */
  note(server: string, lsn: Lsn, epoch: bigint): void {
    if (lsn > this.behind(server)) this.#behind.set(server, lsn);
    if (epoch > this.#epoch) this.#epoch = epoch;
  }

  toString(): string {
    const servers = [...this.#behind].map(([name, lsn]) => `&${encodeURIComponent(name)}=${lsn.toString(16)}`);
    return `${this.#epoch}${servers.join('')}`;
  }
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch (cause) {
    throw new InvalidArgumentError('the write token is not one that a caller gave out', { cause });
  }
}
