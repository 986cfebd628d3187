const MAX_SHOWN = 60;

/**
 * A value as it is put into an error message: short, never throwing, whatever it is.
 * Not for values that may be secret.
 *
 * @example
 * ```ts
 * describeValue('9-1');     // '"9-1"'
 * describeValue(3n);        // '3n'
 * describeValue({ a: 1 });  // 'an object'
 * ```
 */
export function describeValue(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value);
    case 'bigint':
      return `${value}n`;
    case 'function':
      return 'a function';
    case 'object':
      if (value === null) return 'null';
      if (Array.isArray(value)) return 'a list';
      return value instanceof Date ? 'a Date' : 'an object';
    default:
      return String(value);
  }
}
