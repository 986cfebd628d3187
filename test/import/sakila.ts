// The Sakila sample database, loaded into a database of the test's own, and a load on it.
import { readFile } from 'node:fs/promises';
import { createConnection } from 'mysql2/promise';
import { testData } from '../support/data.ts';
import type { SourceServer } from '../support/source-server.ts';
import {
  type Load,
  type LoadOptions,
  type LoadTurns,
  runTransaction,
  startRandomLoad,
  withMysqlSession,
} from './random-load.ts';

/** The statements that make Sakila; `undefined` after saying out loud that the files are not there. */
export async function sakilaStatements(): Promise<readonly string[] | undefined> {
  const paths = [testData('sakila-schema.sql'), testData('sakila-data.sql')];
  if (paths.includes(undefined)) return undefined;
  const texts = await Promise.all(paths.map((path) => readFile(path!, 'utf8')));
  return texts.flatMap((text) => splitScript(text));
}

/** Cuts a script where it changes the DELIMITER, and makes it fit a database of another name. */
function splitScript(text: string): string[] {
  const own = text
    .replace(/^(drop|create) schema .*$/gim, '')
    .replace(/^use sakila;$/gim, '')
    .replace(/\bsakila\.(?=\w)/g, (name, at: number) => (text[at - 1] === '@' ? name : ''))
    // MariaDB steps over comments for MySQL 5.7, and the geometry in them
    .replaceAll('/*!50705', '/*!50000');
  const parts = own.split(/^delimiter (\S+)\s*$/gim);
  const statements: string[] = [parts[0]!];
  for (let n = 1; n < parts.length; n += 2) {
    const [delimiter, body] = [parts[n]!, parts[n + 1]!];
    if (delimiter === ';') statements.push(body);
    else statements.push(...body.split(delimiter).filter((statement) => statement.trim() !== ''));
  }
  return statements.filter((statement) => statement.trim() !== '');
}

export async function loadSakila(server: SourceServer, schema: string, statements: readonly string[]): Promise<void> {
  const client = await createConnection({ ...server.connection, database: schema, multipleStatements: true });
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** A shop at work: rentals, payments, new and changed films, customers who leave. */
export function startSakilaLoad(
  server: Pick<SourceServer, 'connection'>,
  schema: string,
  options: LoadOptions = {},
): Load {
  return startRandomLoad(options, (turns) =>
    withMysqlSession(server, schema, async (client) => {
      while (turns.going) {
        const statements = Array.from({ length: turns.random(6) + 1 }, () => statement(turns.random));
        await runTransaction(client, statements);
        await turns.done();
      }
    }),
  );
}

function statement(random: LoadTurns['random']): string {
  const [film, customer, rental] = [random(1000) + 1, random(599) + 1, random(16_000) + 1];
  switch (random(14)) {
    case 0:
      return `insert into film (title, description, language_id, rental_rate, rating, special_features, release_year)
          values ('FILM ${random(9999)} é€日', 'it''s \\\\ a	test', 1, ${random(900)} / 100, 'PG-13', 'Trailers,Deleted Scenes', 2006)`;
    case 1:
      return `update film set title = concat(left(title, 30), '!'), special_features = null, rating = 'NC-17' where film_id = ${film}`;
    case 2:
      return `update film set special_features = 'Trailers,Commentaries', length = ${random(300)} where film_id = ${film}`;
    case 3:
      return `insert ignore into film_actor (actor_id, film_id) values (${random(200) + 1}, ${film})`;
    case 4:
      return `update ignore actor set actor_id = ${random(100) + 200} where actor_id = ${random(300) + 1}`;
    case 5:
      return `update ignore category set category_id = ${random(40) + 1} where category_id = ${random(40) + 1}`;
    case 6:
      return `delete from rental where rental_id = ${rental}`;
    case 7:
      return `update rental set return_date = '2025-02-03 04:05:06' where rental_id = ${rental}`;
    case 8:
      return `insert ignore into rental (rental_date, inventory_id, customer_id, staff_id)
          values (now(), ${random(4581) + 1}, ${customer}, 1)`;
    case 9:
      return `insert into payment (customer_id, staff_id, rental_id, amount, payment_date)
          select customer_id, staff_id, rental_id, 1.99, '2025-01-01' from rental where rental_id = ${rental}`;
    case 10:
      return `update payment set amount = amount + 0.01 where customer_id = ${customer} limit 3`;
    case 11:
      return `update address set location = ST_GeomFromText('POINT(${random(180)}.5 ${random(90)})'), phone = '${random(99999)}' where address_id = ${random(603) + 1}`;
    case 12:
      return `update customer set active = 1 - active, email = null where customer_id = ${customer}`;
    default:
      return `update staff set picture = x'89504e47000d0a${String(random(99)).padStart(2, '0')}5c' where staff_id = ${random(2) + 1}`;
  }
}
