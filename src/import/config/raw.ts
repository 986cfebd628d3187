import { ConfigurationError } from '../../errors.ts';

/** Reads typed values out of a configuration that came from YAML or from code, naming the key when one is wrong. */
export class RawSection {
  readonly where: string;
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(where: string, value: unknown) {
    if (value === null || value === undefined) value = {};
    if (typeof value !== 'object' || Array.isArray(value))
      throw new ConfigurationError(`${where} is not a section with keys`);
    this.where = where;
    this.#values = value as Record<string, unknown>;
  }

  get keys(): string[] {
    return Object.keys(this.#values);
  }

  /** The section as it was given. */
  get all(): Readonly<Record<string, unknown>> {
    return this.#values;
  }

  /** The value of a key; empty ones (`key:` in YAML) count as missing. */
  get(key: string): unknown {
    const value = this.#values[key];
    return value === null || value === '' ? undefined : value;
  }

  section(key: string): RawSection {
    return new RawSection(`${this.where}.${key}`, this.#values[key]);
  }

  text(key: string): string | undefined {
    const value = this.get(key);
    if (value === undefined || typeof value === 'string') return value;
    if (typeof value === 'number') return String(value);
    throw this.wrong(key, 'a text');
  }

  required(key: string): string {
    const value = this.text(key);
    if (value === undefined) throw new ConfigurationError(`${this.where}.${key} is missing`);
    return value;
  }

  number(key: string): number | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    const number = typeof value === 'number' ? value : typeof value === 'string' ? Number(value) : Number.NaN;
    if (!Number.isFinite(number)) throw this.wrong(key, 'a number');
    return number;
  }

  /** YAML 1.1's Yes and No too: pg_chameleon's example has `keep_existing_schema: No`. */
  flag(key: string): boolean | undefined {
    const value = this.get(key);
    if (value === undefined || typeof value === 'boolean') return value;
    if (typeof value === 'string' && /^(yes|on|true)$/i.test(value)) return true;
    if (typeof value === 'string' && /^(no|off|false|disabled)$/i.test(value)) return false;
    throw this.wrong(key, 'yes or no');
  }

  /** A list of texts; a single text counts as a list of one. */
  list(key: string): string[] {
    const value = this.get(key);
    if (value === undefined) return [];
    const items = Array.isArray(value) ? value : [value];
    return items.filter((item) => item !== null && item !== '').map(String);
  }

  /** A section whose values are texts. */
  texts(key: string): Record<string, string> {
    const section = this.section(key);
    return Object.fromEntries(section.keys.map((name) => [name, section.required(name)]));
  }

  oneOf<Choice extends string>(key: string, choices: readonly Choice[]): Choice | undefined {
    const value = this.text(key);
    if (value === undefined) return undefined;
    const found = choices.find((choice) => choice === value.toLowerCase());
    if (found === undefined) throw this.wrong(key, `one of ${choices.join(', ')}`);
    return found;
  }

  wrong(key: string, wanted: string): ConfigurationError {
    return new ConfigurationError(`${this.where}.${key}: ${JSON.stringify(this.#values[key])} is not ${wanted}`);
  }
}
