/**
 * `pg-hypervault/embedded`: real Postgres servers from npm.
 *
 * @module
 */

export { EmbeddedServer, freePort, type StopMode } from './embedded-server.ts';
export type { EmbeddedOptions } from './options.ts';
export { type Embedded, startEmbedded } from './start-embedded.ts';
