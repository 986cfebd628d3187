import { ConfigurationError } from '../errors.ts';

/** Values of environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Puts environment variables in place of `${NAME}`; `$${` stands for `${`.
 *
 * @throws ConfigurationError naming the variable when it is not set
 */
export function substitute(text: string, environment: Environment, where: string): string {
  return text.replace(/\$(\$\{)|\$\{([^}]*)\}/g, (_whole, literal: string | undefined, name: string) => {
    if (literal !== undefined) return literal;
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      throw new ConfigurationError(
        `${where}: \${${name}} is no name of an environment variable; write $\${ for a plain \${`,
      );
    }
    const value = environment[name];
    if (value === undefined) throw new ConfigurationError(`${where}: the environment variable ${name} is not set`);
    return value;
  });
}

/** Keys whose values are texts even when they look like numbers: a password may be `123`. */
const TEXT_KEYS = /^(password|user|database|host|connectionString|options|applicationName)$|token|secret|url|path$/i;

/**
 * A value that is nothing but one variable is a number or a boolean when it looks like one, quoted or not, so that `port: ${PORT}` works;
 * texts stay texts where a text is wanted.
 */
export function typed(text: string, key: string | number | undefined): string | number | boolean {
  if (typeof key === 'string' && TEXT_KEYS.test(key)) return text;
  if (text === 'true' || text === 'false') return text === 'true';
  return /^(0|[1-9]\d{0,14})$/.test(text) ? Number(text) : text;
}
