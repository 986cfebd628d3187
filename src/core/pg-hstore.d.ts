declare module 'pg-hstore' {
  interface Hstore {
    stringify(data: Record<string, string | null>): string;
    parse(text: string): Record<string, string | null>;
  }
  export default function hstore(options?: { sanitize?: boolean }): Hstore;
}
