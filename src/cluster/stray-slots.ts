/** What is known of the subscriptions of all servers that answered, against which slots are held. */
export interface KnownSubscriptions {
  /** Their numbers, by the identifier of the Postgres cluster they are in. */
  readonly systems: ReadonlyMap<string, ReadonlySet<string>>;
  readonly names: ReadonlySet<string>;
  /** Whether every server answered: else one may be missing. */
  readonly complete: boolean;
}

/** The subscriptions of one server: numbers are those of all its databases. */
export interface SubscriptionsOf {
  readonly system: string;
  readonly numbers: readonly string[];
  readonly names: readonly string[];
}

/** Reads {@link SubscriptionsOf}. */
export const SUBSCRIPTIONS = `
select (select system_identifier::text from pg_control_system()) as system,
       array(select oid::text from pg_subscription) as numbers,
       array(select subname::text from pg_subscription) as names`;

/** Puts together what servers have said. A clone of a server has the same identifier. */
export function knownSubscriptions(servers: readonly SubscriptionsOf[], complete: boolean): KnownSubscriptions {
  const systems = new Map<string, Set<string>>();
  const names = new Set<string>();
  for (const { system, numbers, names: ofServer } of servers) {
    systems.set(system, new Set([...(systems.get(system) ?? []), ...numbers]));
    for (const name of ofServer) names.add(name);
  }
  return { systems, names, complete };
}

/** A slot that nobody seems to need. */
export interface StraySlot {
  /** Why it is not dropped, and who may; `undefined` when it is ours and nobody's for certain. */
  readonly kept: string | undefined;
}

/** Links of moves: they end in the move's token. */
const OF_MOVE = /^hv_(?:move|back)_(\w+)$/;
/** Postgres' own name for the slot of a table under copy: subscription, table, system of the subscriber. */
const OF_COPY = /^pg_(\d+)_sync_\d+_(\d+)$/;

/**
 * Whether nobody seems to need a slot that is ours, or Postgres' own for the copy of a table. It keeps log as long as it is
 * there.
 *
 * @param tokens - of the moves that are not over; `undefined` when the journal could not be read
 * @returns `undefined` for a slot that is needed, may be, or is none of our business
 */
export function straySlot(
  { name, active }: { readonly name: string; readonly active: boolean },
  tokens: ReadonlySet<string> | undefined,
  { systems, names, complete }: KnownSubscriptions,
): StraySlot | undefined {
  const token = OF_MOVE.exec(name)?.[1];
  if (token !== undefined) return tokens === undefined || tokens.has(token) ? undefined : { kept: undefined };
  const [, number, system] = OF_COPY.exec(name) ?? [];
  if (number !== undefined && system !== undefined) {
    const there = systems.get(system);
    if (there?.has(number)) return undefined;
    if (active) return there === undefined ? undefined : { kept: 'a session still reads it; look again in a moment' };
    if (there !== undefined) return { kept: undefined };
    return {
      kept: `of a subscription on a server that did not answer or is not in the configuration (system ${system}); drop it by hand when that is gone`,
    };
  }
  if (active) return undefined;
  if (/^hv_ref_/.test(name) && complete && !names.has(name)) {
    return { kept: 'of reference tables; hypervault reference sync or reference remove takes it up' };
  }
  if (/^hypervault_/.test(name))
    return {
      kept: 'of an import that does not run at this moment; it goes on from there, or ends with hypervault import drop-source',
    };
  return undefined;
}
