import { answer, type Exchange } from './exchange.ts';
import { pageFile } from './page-files.ts';
import { answerNotModified, taggedHeaders } from './preconditions.ts';
import { Refusal } from './refusal.ts';

/**
 * Nothing but the page's own files, requests to this server, and no text that becomes markup or script: with
 * trusted types the browser itself refuses `innerHTML` and its like.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const HEADERS = [
  ...['Content-Security-Policy', POLICY],
  ...['X-Content-Type-Options', 'nosniff'],
  ...['X-Frame-Options', 'DENY'],
  ...['Referrer-Policy', 'no-referrer'],
  ...['Cross-Origin-Resource-Policy', 'same-origin'],
];

/** `GET /-/page` and the files it asks for, `GET /-/page/NAME`. They hold no data: what is shown, the page asks for. */
export async function getPage(exchange: Exchange): Promise<void> {
  const { file: name, options } = exchange;
  const file = options.page ? await pageFile(name === '' ? 'index.html' : name) : undefined;
  if (file === undefined) throw new Refusal(404, 'Not found');
  const headers = [...HEADERS, ...taggedHeaders(file.etag)];
  if (!answerNotModified(exchange, file.etag, headers)) answer(exchange, 200, file.type, file.body, headers);
}
