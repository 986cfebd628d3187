import { ConfigurationError } from '../errors.ts';
import type { Commit } from './commit.ts';
import { CommitRefusedError } from './errors.ts';
import type { SaveHook } from './hooks.ts';

/** JSON Schemas by what keys begin with. The longest beginning that fits counts alone; `''` is every other key. */
export type SchemasByPrefix = Readonly<Record<string, object | boolean>>;

interface Validate {
  (value: unknown): boolean;
  readonly errors?: readonly { readonly instancePath: string; readonly message?: string | undefined }[] | null;
}

/**
 * A pre-save hook that refuses payloads which do not fit the JSON Schema of their key: no JSON, or the wrong one.
 * Removals pass, and keys without a schema. Schemas are of draft 2020-12, or of draft-07 where their `$schema` says so.
 * Needs the package `ajv`.
 *
 * @example
 * ```ts
 * const hook = await jsonSchemaHook({ 'limits.': { type: 'object', properties: { max: { type: 'integer' } } } });
 * const checked = withPreSaveHook(storage, hook);      // or openKv({ schemas })
 * ```
 * @throws ConfigurationError when a schema is none, or ajv is not installed
 */
export async function jsonSchemaHook<V = Buffer>(schemas: SchemasByPrefix): Promise<SaveHook<V>> {
  const compile = await loadCompiler();
  // The longest first, so that the first that fits is the one.
  const known = Object.entries(schemas)
    .sort(([a], [b]) => b.length - a.length)
    .map(([prefix, schema]) => ({ prefix, validate: compile(prefix, schema) }));
  return ({ key, payload }: Commit<V>) => {
    const validate = known.find(({ prefix }) => key.startsWith(prefix))?.validate;
    if (validate === undefined || payload === null) return;
    if (validate(parse(key, payload))) return;
    const [error] = validate.errors ?? [];
    throw new CommitRefusedError(`${key}: ${error?.instancePath || 'the value'} ${error?.message ?? 'does not fit'}`);
  };
}

function parse(key: string, payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString()) as unknown;
  } catch (cause) {
    throw new CommitRefusedError(`${key}: the payload is no JSON: ${(cause as Error).message}`, { cause });
  }
}

async function loadCompiler(): Promise<(prefix: string, schema: object | boolean) => Validate> {
  const [{ Ajv2020 }, { Ajv }] = await Promise.all([import('ajv/dist/2020.js'), import('ajv')]).catch((cause) => {
    throw new ConfigurationError('JSON Schemas for keys need the package ajv: npm install ajv', { cause });
  });
  // Only the first failure is looked for: whoever sends a payload must not decide how long that takes.
  const options = { strictTypes: false, strictTuples: false, logger: false } as const;
  const [newer, older] = [new Ajv2020(options), new Ajv(options)];
  return (prefix, schema) => {
    const draft = typeof schema === 'object' ? String((schema as { $schema?: unknown }).$schema) : '';
    try {
      return (/draft-0[67]/.test(draft) ? older : newer).compile(schema) as Validate;
    } catch (cause) {
      const where = prefix === '' ? 'all keys' : `keys that begin with ${JSON.stringify(prefix)}`;
      throw new ConfigurationError(`the JSON Schema of ${where} is none: ${(cause as Error).message}`, { cause });
    }
  };
}
