export { readConfiguration } from './read-configuration.ts';
export type { FixedSettings, ResolvedConfiguration } from './resolve.ts';
export type {
  Configuration,
  ControlConfiguration,
  PoolConfiguration,
  SectionConfiguration,
  SectionName,
  ServerConfiguration,
} from './shape.ts';
