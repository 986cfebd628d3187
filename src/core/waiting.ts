/**
 * Ends a wait. A statement that was sent is not undone; a write that still waited for its turn is never sent. Which of the
 * two it was, the caller is not told.
 */
export interface Waiting {
  readonly signal?: AbortSignal | undefined;
}
