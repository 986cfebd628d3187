import type { LineBuffer } from '../copy-text/line-buffer.ts';
import type { MysqlSession } from './session.ts';

/** Writes text that stands in some character set as escaped UTF-8. */
export type TextWriter = (source: Buffer, start: number, end: number, out: LineBuffer) => void;

const UTF8: TextWriter = (source, start, end, out) => out.escaped(source, start, end);
const SUBSETS = new Set(['utf8mb4', 'utf8mb3', 'utf8', 'ascii', 'binary']);

/** Character sets of more than one byte, by the name the WHATWG encoding standard gives them. */
const ENCODINGS: Record<string, string> = {
  big5: 'big5',
  gbk: 'gbk',
  gb2312: 'gbk',
  gb18030: 'gb18030',
  sjis: 'shift_jis',
  cp932: 'shift_jis',
  ujis: 'euc-jp',
  eucjpms: 'euc-jp',
  euckr: 'euc-kr',
  utf16le: 'utf-16le',
  utf16: 'utf-16be',
  ucs2: 'utf-16be',
};

/**
 * The character sets of one source. Which collation id belongs to which set, and what each byte of a one-byte set
 * means, is asked of the server itself: its tables differ from the standards' in places (latin1 is cp1252 with the
 * holes filled), and a streamed value has to come out as the copied one did.
 */
export class Charsets {
  readonly #byCollation: ReadonlyMap<number, string>;
  readonly #writers: ReadonlyMap<string, TextWriter>;

  private constructor(byCollation: ReadonlyMap<number, string>, writers: ReadonlyMap<string, TextWriter>) {
    this.#byCollation = byCollation;
    this.#writers = writers;
  }

  static async read(session: MysqlSession): Promise<Charsets> {
    const collations = await readCollations(session);
    const sets = await session.query<{ name: string; width: number }>(
      'select character_set_name as name, maxlen as width from information_schema.character_sets',
    );
    const writers = new Map<string, TextWriter>();
    for (const { name, width } of sets) {
      if (SUBSETS.has(name)) writers.set(name, UTF8);
      else if (Number(width) === 1) writers.set(name, await oneByteWriter(session, name));
      else writers.set(name, name === 'utf32' ? writeUtf32 : decoderWriter(ENCODINGS[name] ?? 'utf-8'));
    }
    return new Charsets(collations, writers);
  }

  /** The writer for a collation id of the binlog; unknown ids are of the newest collations, which are all utf8mb4. */
  writerFor(collation: number | undefined): TextWriter {
    const name = collation === undefined ? 'utf8mb4' : (this.#byCollation.get(collation) ?? 'utf8mb4');
    return this.#writers.get(name) ?? UTF8;
  }
}

async function readCollations(session: MysqlSession): Promise<Map<number, string>> {
  const byId = new Map<number, string>();
  const add = (rows: { id: number | null; name: string }[]): void => {
    for (const { id, name } of rows) if (id !== null) byId.set(Number(id), name);
  };
  add(await session.query('select id as id, character_set_name as name from information_schema.collations'));
  try {
    // MariaDB 10.10 moved the ids of collations that serve several character sets here
    add(
      await session.query(
        'select id as id, character_set_name as name from information_schema.collation_character_set_applicability',
      ),
    );
  } catch {
    // The view has no ids in MySQL, where the first one is complete
  }
  return byId;
}

async function oneByteWriter(session: MysqlSession, name: string): Promise<TextWriter> {
  const table: Buffer[] = [];
  const all = Buffer.from(Array.from({ length: 256 }, (_, code) => code)).toString('hex');
  // One row per byte, for an unassigned byte would make the conversion of the whole string fail
  const parts = Array.from(
    { length: 256 },
    (_, code) => `hex(convert(convert(x'${all.slice(code * 2, code * 2 + 2)}' using ${name}) using utf8mb4))`,
  );
  const [row] = await session.query<Record<string, string>>(`select concat_ws(',', ${parts.join(', ')}) as codes`);
  for (const code of row!.codes!.split(',')) table.push(Buffer.from(code, 'hex'));
  return (source, start, end, out) => {
    for (let index = start; index < end; index++) {
      const bytes = table[source[index]!]!;
      out.escaped(bytes, 0, bytes.length);
    }
  };
}

function decoderWriter(encoding: string): TextWriter {
  const decoder = new TextDecoder(encoding, { ignoreBOM: true });
  return (source, start, end, out) => {
    const bytes = Buffer.from(decoder.decode(source.subarray(start, end)));
    out.escaped(bytes, 0, bytes.length);
  };
}

const writeUtf32: TextWriter = (source, start, end, out) => {
  let text = '';
  for (let at = start; at + 4 <= end; at += 4) text += String.fromCodePoint(source.readUInt32BE(at));
  const bytes = Buffer.from(text);
  out.escaped(bytes, 0, bytes.length);
};
