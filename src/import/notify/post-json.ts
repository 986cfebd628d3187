import { ImportError } from '../errors.ts';

/** How long a receiver of notices may take to answer. */
const TIMEOUT_MS = 5_000;

/**
 * Posts JSON and expects a status of 2xx.
 *
 * @param what - names the receiver in errors: its address may hold a secret
 */
export async function postJson(
  what: string,
  url: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  let response: Response;
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    // The error's own words may repeat the address
    throw new ImportError('NOTICE', `${what} could not be reached (${codeOf(error)})`, { retryable: true });
  }
  await response.body?.cancel();
  if (response.ok) return;
  throw new ImportError('NOTICE', `${what} answered ${response.status}`, { retryable: response.status >= 500 });
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const { code } = (error.cause ?? error) as { code?: unknown };
  return typeof code === 'string' ? code : error.name;
}
