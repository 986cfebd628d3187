import { existsSync } from 'node:fs';

/** The file that commands read when none is named. */
export const DEFAULT_CONFIGURATION = 'hypervault.yaml';

/** Names the configuration of the working directory, when there is one and nothing else is named. */
export function withDefaultConfiguration(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  if (environment.HYPERVAULT_CONFIG || !existsSync(DEFAULT_CONFIGURATION)) return environment;
  return { ...environment, HYPERVAULT_CONFIG: DEFAULT_CONFIGURATION };
}
