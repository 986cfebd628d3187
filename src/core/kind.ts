import { ConfigurationError } from '../errors.ts';
import { describeValue } from '../internal/describe-value.ts';
import { assertKnownKeys, nearestName } from '../internal/known-keys.ts';
import type { Body } from './entity.ts';
import { InvalidBodyError, StoredBodyError } from './errors.ts';
import type { FieldCodec, OptionalFieldCodec } from './field-codecs.ts';

/** The fields of a kind by name. */
export type FieldCodecs = Readonly<Record<string, FieldCodec<unknown>>>;

type ValueOf<Codec> = Codec extends FieldCodec<infer Value> ? Value : never;
type OptionalNames<Fields> = {
  [Name in keyof Fields]: Fields[Name] extends OptionalFieldCodec<unknown> ? Name : never;
}[keyof Fields];

/** A body as it is read: every field is there, an absent optional one as `null`. */
export type BodyOutput<Fields> = {
  -readonly [Name in keyof Fields]: Name extends OptionalNames<Fields>
    ? ValueOf<Fields[Name]> | null
    : ValueOf<Fields[Name]>;
};

/** A body as it is written: optional fields may be left out. */
export type BodyInput<Fields> = {
  -readonly [Name in Exclude<keyof Fields, OptionalNames<Fields>>]: ValueOf<Fields[Name]>;
} & {
  [Name in OptionalNames<Fields>]?: ValueOf<Fields[Name]> | null | undefined;
};

/** Some fields of a body; what is left out, or undefined, stays as it is. */
export type BodyChanges<Fields> = { [Name in keyof BodyOutput<Fields>]?: BodyOutput<Fields>[Name] | undefined };

/** Fields that an entity must have with these values. */
export type BodyMatch<Fields> = { -readonly [Name in keyof Fields]?: ValueOf<Fields[Name]> | undefined };

/** What entities of a kind look like when they are read. */
export type KindOutput<Of> = Of extends Kind<infer Fields> ? BodyOutput<Fields> : never;
/** What entities of a kind are made from. */
export type KindInput<Of> = Of extends Kind<infer Fields> ? BodyInput<Fields> : never;

export interface KindDefinition<Fields extends FieldCodecs> {
  /** The smallint stored beside the body. Never give it to another kind. */
  readonly id: number;
  /** For messages. */
  readonly name: string;
  readonly fields: Fields;
}

/**
 * A sort of entity with typed fields over the texts of hstore. Made by {@link defineKind}.
 */
export class Kind<Fields extends FieldCodecs> {
  readonly id: number;
  readonly name: string;
  readonly fields: Fields;
  readonly #names: readonly string[];

  /** @internal */
  constructor({ id, name, fields }: KindDefinition<Fields>) {
    this.id = id;
    this.name = name;
    this.fields = fields;
    this.#names = Object.keys(fields);
  }

  /** @throws InvalidBodyError naming the field that is missing, unknown or of another type */
  encode(input: BodyInput<Fields>): Body {
    return this.#encode(input, true);
  }

  /** Like {@link encode}, of some fields. */
  encodeSome(changes: BodyChanges<Fields>): Body {
    return this.#encode(changes, false);
  }

  /** @throws StoredBodyError naming the field. Fields that the kind does not have are passed over. */
  decode(body: Body): BodyOutput<Fields> {
    const output: Record<string, unknown> = {};
    for (const name of this.#names) {
      const codec = this.fields[name]!;
      const text = Object.hasOwn(body, name) ? body[name]! : null;
      const value = text === null ? null : codec.decode(text);
      if (value === undefined || (text === null && !codec.optional)) {
        const what = text === null ? 'is missing' : `does not hold ${codec.description}`;
        throw new StoredBodyError(this.name, name, `${this.name}: the stored field ${describeValue(name)} ${what}`);
      }
      output[name] = value;
    }
    return output as BodyOutput<Fields>;
  }

  #encode(input: object, whole: boolean): Body {
    if (typeof input !== 'object' || input === null) {
      throw new InvalidBodyError(`${this.name}: the body is ${describeValue(input)}, not an object with its fields`);
    }
    for (const name of Object.keys(input)) {
      if (!Object.hasOwn(this.fields, name)) throw this.#unknown(name);
    }
    const body: Body = {};
    for (const name of this.#names) {
      const codec = this.fields[name]!;
      const value = Object.hasOwn(input, name) ? (input as Record<string, unknown>)[name] : undefined;
      if (value === undefined && (!whole || codec.optional)) continue;
      const text = value === null && codec.optional ? null : codec.encode(value);
      if (text === undefined) {
        const given = value === undefined ? 'is missing' : `is ${typeName(value)}`;
        throw new InvalidBodyError(
          `${this.name}: the field ${describeValue(name)} ${given}; it takes ${codec.description}`,
          name,
        );
      }
      body[name] = text;
    }
    return body;
  }

  #unknown(name: string): InvalidBodyError {
    const near = nearestName(name, this.#names);
    const hint = near === undefined ? `its fields: ${this.#names.join(', ')}` : `did you mean ${describeValue(near)}?`;
    return new InvalidBodyError(`${this.name}: unknown field ${describeValue(name)}; ${hint}`, name);
  }
}

/**
 * Describes a sort of entity, for `db.repository()`.
 *
 * @example
 * ```ts
 * const User = defineKind({
 *   id: 2,
 *   name: 'user',
 *   fields: { name: field.string, age: field.int, born: field.optional(field.date) },
 * });
 * type User = KindOutput<typeof User>;   // { name: string; age: number; born: Date | null }
 * ```
 * @throws ConfigurationError for an id that is no smallint, a name or fields that are none
 */
export function defineKind<Fields extends FieldCodecs>(definition: KindDefinition<Fields>): Kind<Fields> {
  assertKnownKeys(definition, ['id', 'name', 'fields'], 'defineKind');
  const { id, name, fields } = definition;
  if (!Number.isInteger(id) || id < -32_768 || id > 32_767) {
    throw new ConfigurationError(`defineKind: id is a smallint (-32768 to 32767), not ${describeValue(id)}`);
  }
  if (typeof name !== 'string' || name === '') throw new ConfigurationError('defineKind: name must be a text');
  for (const [fieldName, codec] of Object.entries(fields)) {
    // Reading it from a plain object would give its prototype.
    if (fieldName === '__proto__') throw new ConfigurationError('defineKind: a field may not be called __proto__');
    if (typeof codec?.encode !== 'function' || typeof codec.decode !== 'function') {
      throw new ConfigurationError(
        `defineKind: ${name}.${fieldName} is no field; take one of field.string, field.int …`,
      );
    }
  }
  return new Kind(definition);
}

/** The type of a value, never the value. */
function typeName(value: unknown): string {
  if (typeof value === 'object') return describeValue(value);
  return value === undefined ? 'undefined' : `a ${typeof value}`;
}
