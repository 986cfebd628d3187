import type { IncomingMessage } from 'node:http';

/** What the sender of one request may do. */
export interface Access {
  /** Who commits; `undefined` when the request says so itself. */
  readonly author: string | undefined;
  mayRead(key: string): boolean;
  mayWrite(key: string): boolean;
}

/** Finds out who sent a request. @throws Refusal 401 */
export type Authorize = (request: IncomingMessage) => Access;

const everything: Access = { author: undefined, mayRead: () => true, mayWrite: () => true };

/** Without tokens, whoever reaches the server may do everything, as with Rainer. */
export const authorizeAnyone: Authorize = () => everything;
