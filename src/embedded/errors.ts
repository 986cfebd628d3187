import { HypervaultError, type HypervaultErrorOptions } from '../errors.ts';

/**
 * ```
 * HypervaultError
 * └─ EmbeddedServerError     a server did not start, stop, copy or promote; quotes the end of its log
 * ```
 *
 * What is wrong before anything is started (package missing, folder out of reach, bad option) is a `ConfigurationError`.
 *
 * @module
 */

/** An embedded server did not do what it was told. The message ends with the last lines of its log. */
export class EmbeddedServerError extends HypervaultError {
  /** Name of the server, e.g. `server1`. */
  readonly server: string;
  /** The last lines the server wrote. */
  readonly log: string;

  constructor(server: string, message: string, log: string, options?: HypervaultErrorOptions) {
    super('EMBEDDED_SERVER', log === '' ? message : `${message}\nThe log ends with:\n${indent(log)}`, options);
    this.server = server;
    this.log = log;
  }
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '  ');
}
