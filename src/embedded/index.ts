/**
 * `pg-hypervault/embedded`: real Postgres servers from npm.
 *
 * @module
 */

export type { EmbeddedConnection } from './connection.ts';
export { EmbeddedServer, type StopMode } from './embedded-server.ts';
export { EmbeddedServerError } from './errors.ts';
export { freePort } from './free-port.ts';
export type { EmbeddedOptions, ServerSetting } from './options.ts';
export { type Embedded, startEmbedded } from './start-embedded.ts';
