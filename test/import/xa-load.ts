// XA transactions on several sessions at once, which stay prepared for a while and are then committed or rolled back.
import { type Connection, createConnection } from 'mysql2/promise';
import type { SourceServer } from '../support/source-server.ts';
import { type Load, type LoadOptions, type LoadTurns, startRandomLoad } from './random-load.ts';

export const CREATE_ORDERS = 'create table orders (id int primary key, tenant int not null, v int not null)';

/** Each session has ids of its own, so that none waits for the other's locks. */
const SESSIONS = 3;

/** Runs until stopped, and leaves nothing prepared. */
export function startXaLoad(server: SourceServer, schema: string, options: LoadOptions = {}): Load {
  return startRandomLoad(options, async (turns) => {
    await Promise.all(Array.from({ length: SESSIONS }, (_, session) => runSession(server, schema, session, turns)));
  });
}

async function runSession(server: SourceServer, database: string, session: number, turns: LoadTurns): Promise<void> {
  const client = await createConnection({ ...server.connection, database, multipleStatements: true });
  const id = (): number => turns.random(60) * SESSIONS + session;
  const statement = (): string => {
    switch (turns.random(4)) {
      case 0:
        return `insert ignore into orders values (${id()}, ${turns.random(40)}, 0)`;
      case 1:
        return `update orders set v = v + 1, tenant = ${turns.random(40)} where id = ${id()}`;
      case 2:
        return `delete from orders where id = ${id()}`;
      default:
        return `update ignore orders set id = ${id()} where id = ${id()}`;
    }
  };
  const pause = (): Promise<void> =>
    new Promise((resolve) => setTimeout(resolve, turns.random(turns.random(8) === 0 ? 400 : 20)));
  try {
    await client.query('set session transaction isolation level read committed');
    for (let n = 0; turns.going; n++) {
      const statements = Array.from({ length: turns.random(5) + 1 }, statement).join('; ');
      const xid = `'s${session}', 'n${n}'`;
      const end = turns.random(3) === 0 ? 'rollback' : 'commit';
      if (turns.random(4) === 0) {
        await client.query(`begin; ${statements}; ${end}`).catch(unlessRolledBack(client, 'rollback'));
      } else {
        const prepared = client.query(`xa start ${xid}; ${statements}; xa end ${xid}; xa prepare ${xid}`).then(pause);
        await prepared
          .then(() => client.query(`xa ${end} ${xid}`))
          .catch(unlessRolledBack(client, `xa rollback ${xid}`));
      }
      await turns.done();
    }
  } finally {
    await client.end();
  }
}

/** Servers end one of two transactions that wait for each other, and MariaDB one that changed nothing. */
function unlessRolledBack(client: Connection, end: string): (error: { code?: string }) => Promise<void> {
  return async (error) => {
    if (error.code === 'ER_XA_RBROLLBACK') return;
    if (error.code !== 'ER_LOCK_DEADLOCK' && error.code !== 'ER_XA_RBDEADLOCK') throw error;
    await client.query(end).catch((cause: { code?: string }) => {
      if (cause.code !== 'ER_XA_RBDEADLOCK') throw cause;
    });
  };
}
