import type { Problem } from '../errors.ts';
import type { MysqlSession } from './session.ts';

/** Names in one message; more of them are counted. */
const MAX_NAMES = 40;

const KINDS = {
  view: 'make them in the target in the SQL of Postgres',
  trigger: 'what they do to rows arrives as rows; make them in the target for the time after detach-replica',
  procedure: 'write them anew in the target',
  function: 'write them anew in the target',
  event: 'what they do to rows arrives as rows; plan them anew for the time after detach-replica',
} as const;

/** Names the views, triggers, routines and events of the schemas: nothing of them is carried over. */
export async function leftBehind(session: MysqlSession, schemas: readonly string[]): Promise<Problem[]> {
  const found = await session.query<{ kind: keyof typeof KINDS; name: string }>(
    `select 'view' as kind, concat(table_schema, '.', table_name) as name
       from information_schema.views
      where table_schema in (?)
      union all
     select 'trigger', concat(trigger_schema, '.', trigger_name)
       from information_schema.triggers
      where trigger_schema in (?)
      union all
     select lower(routine_type), concat(routine_schema, '.', routine_name)
       from information_schema.routines
      where routine_schema in (?)
      union all
     select 'event', concat(event_schema, '.', event_name)
       from information_schema.events
      where event_schema in (?)
      order by 1, 2`,
    [schemas, schemas, schemas, schemas],
  );
  return Object.entries(KINDS).flatMap(([kind, advice]) => {
    const names = found.filter((one) => one.kind === kind).map(({ name }) => name);
    if (names.length === 0) return [];
    const shown = names.slice(0, MAX_NAMES).join(', ');
    const more = names.length > MAX_NAMES ? ` and ${names.length - MAX_NAMES} more` : '';
    const kinds = names.length === 1 ? kind : `${kind}s`;
    const message = `${names.length} ${kinds} not carried over: ${shown}${more}; ${advice}`;
    return [{ level: 'warning' as const, table: null, message }];
  });
}
