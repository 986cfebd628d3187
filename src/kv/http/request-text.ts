import type { IncomingMessage } from 'node:http';
import { CommitFormatError } from '../errors.ts';
import { readTextHeader, type TextField } from './commit-headers.ts';
import { headerLookup } from './exchange.ts';
import { Refusal } from './refusal.ts';

/** A text out of the headers of a request; `undefined` when there is none. @throws Refusal 400 for what is no text */
export function requestText(request: IncomingMessage, field: TextField): string | undefined {
  try {
    return readTextHeader(headerLookup(request), field);
  } catch (error) {
    if (error instanceof CommitFormatError) throw new Refusal(400, error.message);
    throw error;
  }
}
