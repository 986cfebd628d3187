/** A MySQL or MariaDB column type taken apart. */
export interface MysqlType {
  /** The bare name in lower case, synonyms folded: `int`, `varchar`, `enum`, `double` … */
  readonly name: string;
  /** The numbers in parentheses: `decimal(10,2)` has 10 and 2. */
  readonly numbers: readonly number[];
  /** The labels of ENUM and SET, unquoted. */
  readonly labels: readonly string[];
  readonly unsigned: boolean;
  readonly zerofill: boolean;
}

const SYNONYMS: Record<string, string> = {
  integer: 'int',
  int1: 'tinyint',
  int2: 'smallint',
  int3: 'mediumint',
  middleint: 'mediumint',
  int4: 'int',
  int8: 'bigint',
  bool: 'tinyint',
  boolean: 'tinyint',
  numeric: 'decimal',
  dec: 'decimal',
  fixed: 'decimal',
  number: 'decimal',
  float4: 'float',
  float8: 'double',
  real: 'double',
  'double precision': 'double',
  character: 'char',
  nchar: 'char',
  'national char': 'char',
  'national character': 'char',
  'character varying': 'varchar',
  'char varying': 'varchar',
  'national varchar': 'varchar',
  nvarchar: 'varchar',
  varchar2: 'varchar',
  varcharacter: 'varchar',
  'long varchar': 'mediumtext',
  long: 'mediumtext',
  'long varbinary': 'mediumblob',
  clob: 'longtext',
  raw: 'varbinary',
  geomcollection: 'geometrycollection',
};

/**
 * Takes a type apart.
 *
 * @example
 * ```ts
 * parseMysqlType("enum('a','it''s')").labels;          // ['a', "it's"]
 * parseMysqlType('int(10) unsigned').unsigned;         // true
 * ```
 */
export function parseMysqlType(text: string): MysqlType {
  // MariaDB shows column compression as a comment: varchar(80) /*M!100301 COMPRESSED*/
  const bare = text.replace(/\/\*.*?\*\//g, '').trim();
  const open = bare.indexOf('(');
  const head = (open === -1 ? bare : bare.slice(0, open)).toLowerCase().trim();
  const words = head.split(/\s+/);
  // The first word is the type itself, also when it is `binary`
  const isAttribute = (word: string, index: number): boolean => index > 0 && ATTRIBUTES.has(word);
  const attributes = new Set(words.filter(isAttribute));
  const spelled = words.filter((word, index) => !isAttribute(word, index)).join(' ');
  const name = SYNONYMS[spelled] ?? spelled;
  if (open === -1) {
    const implied = spelled === 'bool' || spelled === 'boolean' ? [1] : [];
    return { name, numbers: implied, labels: [], ...flags(attributes) };
  }
  if (name === 'enum' || name === 'set') {
    return { name, numbers: [], labels: parseLabels(bare.slice(open + 1)), unsigned: false, zerofill: false };
  }
  const close = bare.indexOf(')', open);
  const numbers = bare
    .slice(open + 1, close)
    .split(',')
    .map(Number);
  for (const word of bare
    .slice(close + 1)
    .toLowerCase()
    .split(/\s+/))
    attributes.add(word);
  return { name, numbers, labels: [], ...flags(attributes) };
}

const ATTRIBUTES = new Set(['unsigned', 'signed', 'zerofill', 'binary', 'ascii', 'unicode']);

function flags(attributes: ReadonlySet<string>): { unsigned: boolean; zerofill: boolean } {
  const zerofill = attributes.has('zerofill');
  return { unsigned: zerofill || attributes.has('unsigned'), zerofill };
}

function parseLabels(text: string): string[] {
  const labels: string[] = [];
  const pattern = /'((?:[^'\\]|''|\\.)*)'/gs;
  for (const match of text.matchAll(pattern)) {
    labels.push(match[1]!.replace(/''|\\(.)/gs, (whole, letter: string | undefined) => unescapePair(whole, letter)));
  }
  return labels;
}

function unescapePair(whole: string, letter: string | undefined): string {
  if (whole === "''" || letter === undefined) return "'";
  return ESCAPES[letter] ?? letter;
}

const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r', '0': '\0', b: '\b', Z: '\x1a' };
