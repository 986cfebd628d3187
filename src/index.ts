export type { Configuration, ServerConfiguration } from './config/index.ts';
export * from './core/index.ts';
export * from './errors.ts';
export { type OpenOptions, open, Vault, type VaultListenOptions, type VaultStatus } from './vault.ts';
