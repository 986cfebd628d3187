import { ConfigurationError } from '../errors.ts';

/** The command line is wrong: exit code 2. */
export class UsageError extends ConfigurationError {
  override readonly code: string = 'USAGE';
}
