// Random changes on tables whose foreign keys change rows by themselves, in transactions of random size.
import type { SourceServer } from '../support/source-server.ts';
import {
  type Load,
  type LoadOptions,
  type LoadTurns,
  runTransaction,
  startRandomLoad,
  withMysqlSession,
} from './random-load.ts';

export const CASCADE_TABLES = {
  owner: ['id', 'name'],
  account: ['id', 'owner_id', 'code'],
  entry: ['id', 'account_id', 'note'],
  tag: ['id', 'owner_id', 'label'],
  node: ['id', 'parent_id', 'owner_id'],
} as const;

/** A chain of three, a child that is let go, a tree, and a child whose key has its parent's in it. */
export const CREATE_CASCADES = `
  create table owner (id int primary key, name varchar(20));
  create table account (
    id int primary key,
    owner_id int,
    code varchar(20) unique,
    constraint account_owner foreign key (owner_id) references owner (id) on delete cascade on update cascade
  );
  create table entry (
    id int auto_increment primary key,
    account_id int,
    note varchar(40),
    constraint entry_account foreign key (account_id) references account (id) on delete cascade on update cascade
  );
  create table tag (
    id int primary key,
    owner_id int,
    label varchar(20),
    constraint tag_owner foreign key (owner_id) references owner (id) on delete set null on update cascade
  );
  create table node (
    id int primary key,
    parent_id int,
    owner_id int,
    constraint node_parent foreign key (parent_id) references node (id) on delete cascade,
    constraint node_owner foreign key (owner_id) references owner (id) on delete set null on update set null
  );
  create table slot (
    owner_id int,
    n int,
    v int,
    primary key (owner_id, n),
    constraint slot_owner foreign key (owner_id) references owner (id) on delete cascade on update cascade
  );
  insert into owner select seq, concat('o', seq) from seq_1_to_40;
  insert into account select seq, 1 + seq % 40, concat('c', seq) from seq_1_to_120;
  insert into entry (account_id, note) select 1 + seq % 120, concat('tab\\t😀', seq) from seq_1_to_600;
  insert into tag select seq, 1 + seq % 40, concat('t', seq) from seq_1_to_200;
  insert into node select seq, if(seq < 10, null, 1 + seq % 9), 1 + seq % 40 from seq_1_to_150;
  insert into slot select 1 + seq % 40, seq, seq from seq_1_to_200`;

/** Runs until stopped. Keys come from a small range, so that rows come back under keys that were deleted. */
export function startCascadeLoad(
  server: Pick<SourceServer, 'connection'>,
  schema: string,
  options: LoadOptions = {},
): Load {
  return startRandomLoad(options, (turns) =>
    withMysqlSession(server, schema, async (client) => {
      while (turns.going) {
        const statements = Array.from({ length: turns.random(12) + 1 }, () => statement(turns.random));
        await runTransaction(client, statements, turns.random(12) === 0 ? 'rollback' : 'commit');
        await turns.done();
      }
    }),
  );
}

function statement(random: LoadTurns['random']): string {
  const owner = (): number => random(60) + 1;
  const account = (): number => random(200) + 1;
  const some = random(1_000_000);
  switch (random(16)) {
    case 0:
      return `delete from owner where id = ${owner()}`;
    case 1:
      return `update ignore owner set id = ${owner()} where id = ${owner()}`;
    case 2:
      return `delete from account where id = ${account()}`;
    case 3:
      return `update ignore account set id = ${account()} where id = ${account()}`;
    case 4:
      return `update ignore account set owner_id = ${owner()}, code = 'n${some}' where id = ${account()}`;
    case 5:
      return `delete from node where id = ${random(200) + 1}`;
    case 6:
      return `insert ignore into node values (${random(200) + 1}, ${random(200) + 1}, ${owner()})`;
    case 7:
      return `update ignore node set parent_id = ${random(9) + 1} where id = ${random(190) + 10}`;
    case 8:
      return `insert ignore into slot values (${owner()}, ${random(300)}, ${some})`;
    case 9:
      return `update slot set v = v + 1 where owner_id = ${owner()}`;
    case 10:
      return `update ignore tag set owner_id = ${owner()}, label = 'l${some}' where id = ${random(200) + 1}`;
    case 11:
      return `replace into owner values (${owner()}, 'r${some}')`;
    case 12:
      return `insert ignore into owner values (${owner()}, 'o${some}')`;
    case 13:
      return `insert ignore into account values (${account()}, ${owner()}, 'c${some % 400}')`;
    case 14:
      return `update entry set note = concat(note, '!') where account_id = ${account()} and char_length(note) < 30`;
    default:
      return `insert ignore into entry (account_id, note) values (${account()}, 'e${some}')`;
  }
}
