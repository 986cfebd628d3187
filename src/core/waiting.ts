/** Ends a wait; the statement itself, once sent, is not undone. */
export interface Waiting {
  readonly signal?: AbortSignal | undefined;
}
