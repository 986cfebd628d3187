export * from './core/index.ts';
export * from './errors.ts';
