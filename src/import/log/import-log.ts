/** Where the import tells what it does; has the shape of console and of pino. Silent by default. */
export interface ImportLog {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}
