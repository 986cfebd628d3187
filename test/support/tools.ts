// Programs that the embedded Postgres lacks: found on the machine, or the tests that need them say what to install.
import { existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const PACKAGES = {
  psql: 'postgresql-client',
  pgbench: 'postgresql',
  pg_basebackup: 'postgresql-client',
  pg_dump: 'postgresql-client',
  pg_rewind: 'postgresql',
  pgbouncer: 'pgbouncer',
  mariadbd: 'mariadb-server',
  'mariadb-install-db': 'mariadb-server',
  chromium: 'chromium',
  openssl: 'openssl',
  python3: 'python3',
} as const;

export type Tool = keyof typeof PACKAGES;

/** The path of a program, or `undefined` after saying out loud what to install. */
export function findTool(tool: Tool): string | undefined {
  const found = lookFor(tool);
  if (found === undefined) {
    console.warn(`SKIPPED: ${tool} is not on this machine; run: npm run test:setup (Debian package ${PACKAGES[tool]})`);
  }
  return found;
}

/** The Debian packages of tools that are not on this machine. */
export function missingPackages(): string[] {
  const tools = Object.keys(PACKAGES) as Tool[];
  return [...new Set(tools.filter((tool) => lookFor(tool) === undefined).map((tool) => PACKAGES[tool]))];
}

function lookFor(tool: Tool): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    '/usr/sbin',
    ...versions.map((version) => join(debian, version, 'bin')),
  ];
  return folders.map((folder) => join(folder, tool)).find((path) => existsSync(path));
}
