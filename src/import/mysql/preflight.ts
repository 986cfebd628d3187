import type { Problem } from '../errors.ts';
import type { ServerFlavour } from './flavour.ts';
import { leftBehind } from './left-behind.ts';
import type { MysqlSession } from './session.ts';
import { loadUnzstd } from './zstd.ts';

/** Everything about the server that a replica needs, checked at once. */
export async function preflightMysql(
  session: MysqlSession,
  flavour: ServerFlavour,
  schemas: readonly string[],
): Promise<Problem[]> {
  const problems: Problem[] = [];
  const add = (level: Problem['level'], message: string): void => {
    problems.push({ level, table: null, message });
  };
  const variables = await readVariables(session);
  const wanted: [name: string, value: string, remedy: string][] = [
    ['log_bin', 'ON', 'start the server with log_bin'],
    ['binlog_format', 'ROW', 'set global binlog_format = ROW'],
    ['binlog_row_image', 'FULL', 'set global binlog_row_image = FULL'],
    ['binlog_row_metadata', 'FULL', 'set global binlog_row_metadata = FULL'],
  ];
  for (const [name, value, remedy] of wanted) {
    const found = variables.get(name);
    // Aurora's log_bin says OFF on its readers only; MySQL 8.4 dropped none of these
    if (found === undefined && name === 'binlog_row_metadata') {
      add('error', `the server ${flavour.version} has no binlog_row_metadata; it needs MySQL 8.0.1 or MariaDB 10.5`);
    } else if (found === undefined || (found.toUpperCase() !== value && !(name === 'log_bin' && found === '1'))) {
      add('error', `${name} is ${found ?? 'unknown'} and must be ${value}: ${remedy}`);
    }
  }
  if (variables.get('binlog_transaction_compression') === 'ON' && (await loadUnzstd()) === null) {
    add(
      'error',
      'binlog_transaction_compression is ON, and there is nothing to unpack with: npm install fzstd, use Node 22.15, or set global binlog_transaction_compression = OFF',
    );
  }
  if (/PARTIAL_JSON/i.test(variables.get('binlog_row_value_options') ?? '')) {
    add(
      'error',
      "binlog_row_value_options has PARTIAL_JSON and must be empty: set global binlog_row_value_options = ''",
    );
  }
  if ((variables.get('server_id') ?? '0') === '0')
    add('error', 'server_id is 0; the server sends no binlog to a replica: give it a number');
  problems.push(...(await checkRights(session, flavour)));
  problems.push(...(await checkSchemas(session, schemas)));
  problems.push(...(await leftBehind(session, schemas)));
  const hours =
    Number(variables.get('binlog_expire_logs_seconds') ?? Number(variables.get('expire_logs_days') ?? 0) * 86_400) /
    3_600;
  if (hours > 0 && hours < 24) {
    add(
      'warning',
      `the server keeps its binlog for ${hours.toFixed(1)} hours only; a replica that stands still longer has to be copied anew`,
    );
  }
  return problems;
}

async function readVariables(session: MysqlSession): Promise<Map<string, string>> {
  const rows = await session.query<{ Variable_name: string; Value: string }>(
    `show global variables where variable_name in ('log_bin', 'binlog_format', 'binlog_row_image', 'binlog_row_metadata',
       'binlog_transaction_compression', 'binlog_row_value_options', 'server_id', 'expire_logs_days',
       'binlog_expire_logs_seconds')`,
  );
  return new Map(rows.map((row) => [row.Variable_name.toLowerCase(), row.Value]));
}

/** Rights are read from SHOW GRANTS, for trying them out would cost locks. */
async function checkRights(session: MysqlSession, flavour: ServerFlavour): Promise<Problem[]> {
  const rows = await session.query<Record<string, string>>('show grants');
  const text = rows
    .map((row) => Object.values(row)[0] ?? '')
    .join('\n')
    .toUpperCase();
  const has = (...rights: string[]): boolean =>
    /GRANT ALL PRIVILEGES ON \*\.\*/.test(text) ||
    rights.some((right) => new RegExp(`\\b${right}\\b[^\\n]* ON \\*\\.\\*`).test(text));
  const problems: Problem[] = [];
  if (!has('REPLICATION SLAVE', 'REPLICATION REPLICA')) {
    problems.push({
      level: 'error',
      table: null,
      message: 'the user may not read the binlog: grant replication slave on *.* to it',
    });
  }
  const status = flavour.mariadb ? ['BINLOG MONITOR', 'REPLICATION CLIENT', 'SUPER'] : ['REPLICATION CLIENT', 'SUPER'];
  if (!has(...status)) {
    problems.push({
      level: 'error',
      table: null,
      message: `the user may not ask for the binlog's position: grant ${status[0]!.toLowerCase()} on *.* to it`,
    });
  }
  if (!flavour.mariadb && flavour.number >= 80_000 && !has('XA_RECOVER_ADMIN') && (await usesXa(session))) {
    problems.push({
      level: 'warning',
      table: null,
      message:
        'the user may not see XA transactions, which this server uses: one that is prepared when the copy begins is not waited for, and all tables are set aside when it commits; grant xa_recover_admin on *.* to it',
    });
  }
  if (!has('RELOAD') && !flavour.mariadb) {
    problems.push({
      level: 'warning',
      table: null,
      message:
        'the user has no RELOAD right; for a moment the copy locks its tables against writing instead (lock tables), after the transactions that write to them',
    });
  }
  return problems;
}

async function usesXa(session: MysqlSession): Promise<boolean> {
  const [row] = await session.query<{ Value: string }>("show global status like 'Com_xa_prepare'");
  return Number(row?.Value ?? 0) > 0;
}

async function checkSchemas(session: MysqlSession, schemas: readonly string[]): Promise<Problem[]> {
  const rows = await session.query<{ name: string }>(
    'select schema_name as name from information_schema.schemata where schema_name in (?)',
    [schemas],
  );
  const found = new Set(rows.map(({ name }) => name));
  return schemas
    .filter((schema) => !found.has(schema))
    .map((schema) => ({
      level: 'error',
      table: null,
      message: `there is no database ${schema}, or the user has no rights in it`,
    }));
}
