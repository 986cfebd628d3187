declare module 'pg-hstore' {
  interface Hstore {
    stringify(data: Readonly<Record<string, string | null>>): string;
  }
  function hstore(options?: { sanitize?: boolean }): Hstore;
  export = hstore;
}
