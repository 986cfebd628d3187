// The functions that append, for a single stream and for many, for all that may be asked and for one event that asks nothing,
// must agree in everything.
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { install } from '../../src/core/index.ts';
import { freshDatabase } from '../support/database.ts';
import { waitFor } from '../support/wait-for.ts';

interface Append {
  readonly stream: string;
  readonly expected: number;
  readonly ids: readonly string[];
  readonly checked?: boolean;
}

interface Outcome {
  readonly outcome: string;
  readonly first: string | null;
  readonly actual: string;
}

async function shard(): Promise<pg.Client> {
  const database = await freshDatabase();
  await install([{ ...database.connection, shards: '1-2' }], { modules: ['core', 'streams'] });
  const client = new pg.Client(database.connection);
  await client.connect();
  onTestFinished(() => client.end());
  await client.query('set search_path = shard0001');
  return client;
}

function columns(ids: readonly string[]): unknown[] {
  const each = <T>(value: T): T[] => ids.map(() => value);
  return [ids, each('T'), each('{}'), each(null), each(null)];
}

async function alone(client: pg.Client, { stream, expected, ids, checked = false }: Append): Promise<Outcome> {
  const { rows } = await client.query('select * from hv_append_one($1, $2, $3, $4, $5, $6, $7, $8)', [
    stream,
    expected,
    checked,
    ...columns(ids),
  ]);
  return rows[0];
}

async function gathered(client: pg.Client, appends: readonly Append[]): Promise<Outcome[]> {
  let next = 1;
  const starts = appends.map(({ ids }) => {
    const start = next;
    next += ids.length;
    return start;
  });
  const { rows } = await client.query('select * from hv_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)', [
    appends.map(({ stream }) => stream),
    appends.map(({ expected }) => expected),
    appends.map(({ checked = false }) => checked),
    starts,
    appends.map(({ ids }) => ids.length),
    appends.flatMap(({ ids }, i) => ids.map(() => i + 1)),
    ...columns(appends.flatMap(({ ids }) => ids)),
  ]);
  return rows;
}

const other = (): Append => ({ stream: `other-${randomUUID()}`, expected: -2, ids: [randomUUID()] });

/** Every state a stream can be in, by its name; three events where it has some, with these ids. */
const states = ['new', 'retained', 'written', 'soft', 'hard', 'revived'] as const;
const known = [randomUUID(), randomUUID(), randomUUID()];

async function reach(client: pg.Client, stream: string, state: (typeof states)[number]): Promise<void> {
  if (state === 'new') return;
  if (state === 'retained') {
    await client.query('select hv_set_retention($1, null, 100, null)', [stream]);
    return;
  }
  await alone(client, { stream, expected: -2, ids: known });
  if (state === 'written') return;
  await client.query('select * from hv_delete_stream($1, -2, $2)', [stream, state === 'hard']);
  if (state === 'revived') await alone(client, { stream, expected: -1, ids: [randomUUID()] });
}

/** Streams of which an event says another category than they do. */
async function misfiled(client: pg.Client): Promise<unknown[]> {
  const { rows } = await client.query(
    `select s.name
     from hv_events e
     join hv_streams s on s.id = e.stream
     where e.category is distinct from hv_category(s.name)`,
  );
  return rows;
}

test('alone, gathered and gathered with a conditional append: same outcomes, same rows, in every state of a stream', async () => {
  const client = await shard();
  // one transaction: a commit for each of the thousands of calls is most of the time otherwise
  await client.query('begin');
  const idsOf = {
    fresh: () => [randomUUID(), randomUUID()],
    repeated: () => known.slice(1),
    partly: () => [known[2]!, randomUUID()],
  };
  let turn = 0;
  for (const state of states) {
    for (const expected of [-2, -1, -4, 0, 2, 3, 7]) {
      for (const [kind, make] of Object.entries(idsOf)) {
        turn += 1;
        const [a, b, c] = [`a-${turn}`, `b-${turn}`, `c-${turn}`];
        for (const stream of [a, b, c]) await reach(client, stream, state);
        const ids = make();
        const checked = kind !== 'fresh';
        const one = await alone(client, { stream: a, expected, ids, checked });
        const many = await gathered(client, [other(), { stream: b, expected, ids, checked }, other()]);
        const mixed = await gathered(client, [
          { ...other(), expected: -1 },
          { stream: c, expected, ids, checked },
        ]);
        const what = `${state}, expected ${expected}, ids ${kind}`;
        expect(many[1], what).toEqual(one);
        expect(mixed[1], what).toEqual(one);
        expect(many[0]!.outcome).toBe('appended');
        const { rows } = await client.query(
          `select distinct version, deleted, category = hv_category(name) as placed,
             (select array_agg(e.number order by e.number) from hv_events e where e.stream = s.id) as numbers
           from hv_streams s where name = any($1)`,
          [[a, b, c].map((name) => name)],
        );
        expect(rows.length, what).toBeLessThanOrEqual(1);
        if (rows.length === 1 && one.outcome === 'appended') expect(rows[0].numbers.at(-1), what).toBe(rows[0].version);
      }
    }
  }
  await client.query('commit');
  expect(await misfiled(client)).toEqual([]);
});

test('one event that asks nothing, alone and gathered: outcomes and rows as in the function for everything', async () => {
  const client = await shard();
  for (const state of states) {
    const [a, b, c] = [`a-${state}`, `b-${state}`, `c-${state}`];
    for (const stream of [a, b, c]) await reach(client, stream, state);
    const expected = await alone(client, { stream: a, expected: -2, ids: [randomUUID()] });
    const first = expected.outcome === 'appended' ? expected.first : null;
    const event = await client.query('select hv_append_event($1, $2, $3, $4, $5, $6) as number', [
      b,
      randomUUID(),
      'T',
      '{}',
      null,
      null,
    ]);
    expect(event.rows[0].number, state).toBe(first);
    const before = other();
    const each = await client.query('select hv_append_each($1, $2, $3, $4, $5, $6)::text[] as numbers', [
      [before.stream, c, other().stream],
      ...columns([randomUUID(), randomUUID(), randomUUID()]),
    ]);
    expect(each.rows[0].numbers, state).toEqual(['0', first, '0']);
    const { rows } = await client.query(
      `select version, deleted, category = hv_category(name) as placed, truncate_before, max_count,
         array(select row(e.number, e.type, e.body::text)::text from hv_events e where e.stream = s.id order by e.number) as events
       from hv_streams s where name = any($1)`,
      [[a, b, c]],
    );
    expect(rows).toHaveLength(3);
    expect(rows[1], state).toEqual(rows[0]);
    expect(rows[2], state).toEqual(rows[0]);
  }
  expect(await misfiled(client)).toEqual([]);
});

test('an event that was written before is refused by its index, so that the append is made with a look at the ids', async () => {
  const client = await shard();
  await alone(client, { stream: 's', expected: -2, ids: [known[0]!] });
  const [event, each] = [
    ['s', known[0], 'T', '{}', null, null],
    [['s'], ...columns([known[0]!])],
  ];
  await expect(client.query('select hv_append_event($1, $2, $3, $4, $5, $6)', event)).rejects.toMatchObject({
    code: '23505',
  });
  await expect(client.query('select hv_append_each($1, $2, $3, $4, $5, $6)', each)).rejects.toMatchObject({
    code: '23505',
  });
  const { rows } = await client.query('select version from hv_streams');
  expect(rows).toEqual([{ version: '0' }]);
});

test('bytes are kept where there is no body', async () => {
  const client = await shard();
  const bytes = Buffer.from([0, 255]);
  await client.query('select hv_append_event($1, $2, $3, $4, $5, $6)', ['s', randomUUID(), 'T', null, bytes, '1']);
  await client.query('select hv_append_event($1, $2, $3, $4, $5, $6)', ['s', randomUUID(), 'T', '2', bytes, null]);
  await client.query('select hv_append_each($1, $2, $3, $4, $5, $6)', [
    ['s', 't'],
    [randomUUID(), randomUUID()],
    ['T', 'T'],
    [null, '3'],
    [bytes, bytes],
    ['4', null],
  ]);
  const { rows } = await client.query('select body, bytes, metadata from hv_events order by id');
  expect(rows).toEqual([
    { body: null, bytes, metadata: 1 },
    { body: 2, bytes: null, metadata: null },
    { body: null, bytes, metadata: 4 },
    { body: 3, bytes: null, metadata: null },
  ]);
});

test('a stream whose retention was set before its first event counts on from it', async () => {
  const client = await shard();
  await client.query('select hv_set_retention($1, null, 100, null)', ['s']);
  for (const first of ['0', '1', '2']) {
    expect(await alone(client, { stream: 's', expected: -2, ids: [randomUUID()] })).toMatchObject({
      outcome: 'appended',
      first,
    });
  }
  expect((await alone(client, { stream: 's', expected: 7, ids: [randomUUID()] })).outcome).toBe('wrong_version');
});

test('streams are looked up by index in the order of the call, also when the plan was made on one row', async () => {
  const client = await shard();
  await gathered(client, [other()]);
  await client.query('analyze hv_streams');
  const plans: string[] = [];
  client.on('notice', ({ message }) => plans.push(message ?? ''));
  await client.query(`load 'auto_explain'`);
  await client.query(
    'set auto_explain.log_min_duration = 0; set auto_explain.log_nested_statements = on; set client_min_messages = log',
  );
  await gathered(client, [other(), other()]);
  await gathered(client, [{ ...other(), expected: -1 }, other()]);
  await client.query('select hv_append_each($1, $2, $3, $4, $5, $6)', [
    [other().stream, other().stream],
    ...columns([randomUUID(), randomUUID()]),
  ]);
  for (const statement of ['written as', 'with grown as', 'for update', 'update hv_streams s\n      set version']) {
    const plan = await waitFor(() => plans.find((text) => text.includes(statement)), { what: statement });
    expect(plan).toMatch(/Index Scan using hv_streams_(name_key|pkey)/);
    expect(plan).toMatch(/Nested Loop[\s\S]*(Function Scan|Sort)[\s\S]*Index Scan using hv_streams/);
    expect(plan).not.toMatch(/Seq Scan on hv_|Bitmap/);
  }
});

test('event ids are looked up by their index, also in a long stream by a plan made while it was empty', async () => {
  const client = await shard();
  const events = (n: number): string[] => Array.from({ length: n }, () => randomUUID());
  const append = (n: number): Append => ({ stream: 's', expected: -2, ids: events(n), checked: true });
  for (let i = 0; i < 3; i++) {
    await alone(client, append(1));
    await gathered(client, [append(1), other()]);
  }
  await alone(client, { ...append(5_000), checked: false });
  await client.query('begin');
  expect((await alone(client, append(2))).outcome).toBe('appended');
  expect((await gathered(client, [append(2), other()]))[0]!.outcome).toBe('appended');
  const { rows } = await client.query(
    "select (idx_tup_fetch + seq_tup_read)::int as read from pg_stat_xact_user_tables where relid = 'hv_events'::regclass",
  );
  await client.query('commit');
  expect(rows[0].read).toBeLessThan(20);
});
