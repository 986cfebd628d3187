import { MissingPeerError } from '../errors.ts';

type Mysql = typeof import('mysql2');
type Zongji = typeof import('@vlasky/zongji');

/** Loads mysql2, an optional peer: users of a Postgres source need not install it. */
export async function loadMysql(): Promise<Mysql> {
  try {
    const module = await import('mysql2');
    return module.default ?? module;
  } catch (cause) {
    throw missing(cause, ['mysql2', '@vlasky/zongji']);
  }
}

/** Loads the binlog client, an optional peer. */
export async function loadZongji(): Promise<Zongji> {
  try {
    return await import('@vlasky/zongji');
  } catch (cause) {
    throw missing(cause, ['mysql2', '@vlasky/zongji']);
  }
}

function missing(cause: unknown, packages: readonly string[]): unknown {
  const code: unknown = cause instanceof Error ? (cause as { code?: unknown }).code : undefined;
  if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') return cause;
  return new MissingPeerError(packages, 'a MySQL or MariaDB source', { cause });
}
