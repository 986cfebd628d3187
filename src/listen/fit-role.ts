import { deferred } from './deferred.ts';
import type { NotificationHub } from './hub.ts';
import type { LeaderLease } from './leader-lease.ts';
import type { Life } from './life.ts';
import type { Listeners } from './listeners.ts';
import type { Processors } from './processors.ts';
import type { StateChange } from './state.ts';

/** What the hub told last of its state. */
export class HubNews {
  #last: StateChange | undefined;
  #next = deferred();

  take(change: StateChange): void {
    this.#last = change;
    this.#next.resolve();
    this.#next = deferred();
  }

  get reason(): string {
    return this.#last?.reason ?? '';
  }

  get details(): Pick<StateChange, 'error' | 'nextRetryAt'> {
    const { error, nextRetryAt } = this.#last ?? {};
    return { ...(error !== undefined && { error }), nextRetryAt };
  }

  /** Resolves with the next change. */
  get next(): Promise<void> {
    return this.#next.promise;
  }
}

/** What a supervisor starts and stops with the role of its server. */
export interface RoleParts {
  readonly hub: NotificationHub;
  readonly news: HubNews;
  readonly lease: LeaderLease | undefined;
  readonly processors: Processors;
  readonly listeners: Listeners;
  readonly life: Life;
  readonly graceMs: number;
}

/** Makes what runs fit what the server is. */
export async function fitRole({ hub, news, lease, processors, listeners, life, graceMs }: RoleParts): Promise<void> {
  const { state } = hub;
  const led = lease === undefined || lease.leading;
  if (state === 'listening' && led) {
    processors.start();
    // The session may be lost before they listen; the next run of the procedure starts them then.
    await Promise.race([listeners.start(), news.next]);
    if (hub.state === 'listening') life.change('listening', `on ${hub.status().host}`);
  } else if (state === 'connecting') {
    // A lost session is most often back in a moment; what runs may go on meanwhile.
    life.change('connecting', news.reason);
  } else {
    await listeners.stop();
    await processors.stop(graceMs);
    if (state !== 'listening') life.change(state, news.reason, news.details);
    else life.change('standby', `${lease?.leader ?? 'nobody yet'} leads`);
  }
}
