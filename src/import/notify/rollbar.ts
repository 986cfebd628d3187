import { hostname } from 'node:os';
import { packageVersion } from '../../internal/package-version.ts';
import type { NoticeTarget } from './notifier.ts';
import { postJson } from './post-json.ts';

export const ROLLBAR_URL = 'https://api.rollbar.com/api/1/item/';

export interface RollbarOptions {
  /** Access token of the project (`post_server_item`). */
  readonly key: string;
  readonly environment: string;
  /** @default Rollbar's own */
  readonly url?: string | undefined;
}

/**
 * Makes an item of each notice. What is about the same table for the same reason is one item with many occurrences.
 *
 * The form is Rollbar's "Create an item", https://docs.rollbar.com/reference/create-item.
 */
export function rollbar({ key, environment, url = ROLLBAR_URL }: RollbarOptions): NoticeTarget {
  return ({ level, source, message, table, remedy }) =>
    postJson(
      'Rollbar',
      url,
      {
        data: {
          environment,
          level,
          timestamp: Math.floor(Date.now() / 1_000),
          platform: 'node',
          language: 'javascript',
          framework: 'pg-hypervault',
          title: [source, table, message]
            .filter((part) => part !== undefined)
            .join(': ')
            .slice(0, 255),
          body: { message: { body: message, source, table, remedy } },
          server: { host: hostname() },
          notifier: { name: 'pg-hypervault', version: packageVersion() },
        },
      },
      { 'x-rollbar-access-token': key },
    );
}
