import type { BinlogEvent } from './zongji-types.ts';

/** A statement about an XA transaction, as servers write it into the binlog. */
export interface XaStatement {
  readonly verb: 'start' | 'end' | 'prepare' | 'commit' | 'rollback';
  readonly xid: string;
}

/** `null`: not one of those. */
export function parseXaStatement(sql: string): XaStatement | null {
  const parts = /^\s*xa\s+(start|begin|end|prepare|commit|rollback)\b\s*(.*?)\s*$/is.exec(sql);
  if (parts === null) return null;
  const verb = parts[1]!.toLowerCase();
  return {
    verb: (verb === 'begin' ? 'start' : verb) as XaStatement['verb'],
    xid: /^x'[0-9a-f]*',x'[0-9a-f]*',\d+/i.exec(parts[2]!)?.[0].toLowerCase() ?? parts[2]!,
  };
}

/** The name of the transaction that an XA_PREPARE event ends. */
export function preparedXid({ xidFormatId, xidGtrid, xidBqual }: BinlogEvent): string {
  return `x'${xidGtrid!.toString('hex')}',x'${xidBqual!.toString('hex')}',${xidFormatId}`;
}
