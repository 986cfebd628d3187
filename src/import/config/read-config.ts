import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { ConfigurationError } from '../../errors.ts';
import { type ImportConfig, resolveImportConfig } from './import-config.ts';

/**
 * Reads a configuration file, hypervault's or pg_chameleon's. `import.file` of the former names one of the latter,
 * relative to it; `${NAME}` takes a value of `environment`.
 *
 * @throws ConfigurationError naming the file and the key
 */
export async function readImportConfig(
  path: string,
  environment: Readonly<Record<string, string | undefined>> = {},
): Promise<ImportConfig> {
  const value = await readYaml(path, environment);
  const section = (value as { import?: { file?: unknown } }).import;
  const other = section?.file;
  if (other === undefined) return resolveImportConfig(value);
  if (typeof other !== 'string') throw new ConfigurationError(`${path}: import.file is not a path`);
  const included = await readYaml(resolve(dirname(path), other), environment);
  const { file: _, ...own } = section as Record<string, unknown>;
  return resolveImportConfig({ ...(value as object), import: { ...(included as object), ...own } });
}

async function readYaml(path: string, environment: Readonly<Record<string, string | undefined>>): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new ConfigurationError(`the configuration file ${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    throw new ConfigurationError(`${path}: ${(cause as Error).message}`, { cause });
  }
  if (typeof value !== 'object' || value === null) throw new ConfigurationError(`${path} is empty`);
  return substitute(value, path, environment);
}

function substitute(value: unknown, path: string, environment: Readonly<Record<string, string | undefined>>): unknown {
  if (typeof value === 'string') {
    return value.replace(/\$\{([A-Za-z_]\w*)\}/g, (_, name: string) => {
      const found = environment[name];
      if (found === undefined) throw new ConfigurationError(`${path}: the environment variable ${name} is not set`);
      return found;
    });
  }
  if (Array.isArray(value)) return value.map((item) => substitute(item, path, environment));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, substitute(item, path, environment)]));
}
