import { HypervaultError } from '../errors.ts';
import { classifyError } from '../internal/endpoint/error-class.ts';
import { sqlStateOf } from '../internal/sqlstate.ts';

/**
 * What to do after an error of a component.
 *
 * - `continue`: set it up anew and run again at once.
 * - `backoff`: set it up anew after a growing pause, and give it the same wake-up again.
 * - `terminate`: stop it. If the error was handled, the supervisor looks at the server's role and starts it again on
 *   a primary; if not, the whole supervisor stops.
 */
export type ErrorAction = 'continue' | 'backoff' | 'terminate';

export interface ErrorDecision {
  /** Whether the error is one that was reckoned with. */
  readonly handled: boolean;
  readonly message?: string | undefined;
  readonly action: ErrorAction;
}

/** Decides what an error means for the component it came from. */
export interface ErrorStrategy {
  handle(error: unknown): ErrorDecision;
}

/**
 * The strategy of whoever gives none: trouble with the connection passes, an error of the database may pass when the
 * component is started anew, anything else is a mistake in the program and stops it.
 */
export class CommonErrorStrategy implements ErrorStrategy {
  handle(error: unknown): ErrorDecision {
    switch (classifyError(error)) {
      case 'gone':
      case 'role':
      case 'retry':
        return { handled: true, action: 'backoff', message: messageOf(error) };
      default:
    }
    if (error instanceof HypervaultError) {
      return { handled: true, action: error.retryable ? 'backoff' : 'terminate', message: error.message };
    }
    const fromServer = sqlStateOf(error) !== undefined;
    return { handled: fromServer, action: 'terminate', message: messageOf(error) };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
