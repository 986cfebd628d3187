/** SQLSTATEs this package looks at, by the names Postgres gives them (Appendix A of its manual). */
export const SQLSTATE = {
  connectionException: '08000',
  uniqueViolation: '23505',
  readOnlySqlTransaction: '25006',
  inFailedSqlTransaction: '25P02',
  featureNotSupported: '0A000',
  invalidPassword: '28P01',
  invalidAuthorization: '28000',
  invalidCatalogName: '3D000',
  invalidSchemaName: '3F000',
  serializationFailure: '40001',
  deadlockDetected: '40P01',
  insufficientPrivilege: '42501',
  undefinedFunction: '42883',
  undefinedTable: '42P01',
  duplicateTable: '42P07',
  undefinedColumn: '42703',
  undefinedObject: '42704',
  objectInUse: '55006',
  internalError: 'XX000',
  objectNotInPrerequisiteState: '55000',
  duplicatePreparedStatement: '42P05',
  invalidSqlStatementName: '26000',
  tooManyConnections: '53300',
  sequenceLimitExceeded: '2200H',
  lockNotAvailable: '55P03',
  queryCanceled: '57014',
  adminShutdown: '57P01',
  crashShutdown: '57P02',
  cannotConnectNow: '57P03',
  idleSessionTimeout: '57P05',
  idleInTransactionTimeout: '25P03',
} as const;

/**
 * Our own SQLSTATEs (class SV; HV belongs to foreign data wrappers). SQL raises them, TypeScript maps them;
 * messages are never parsed.
 */
export const SV = {
  /** Leaves a block of PL/pgSQL and so rolls back what it holds; caught there, never seen outside. */
  leaveBlock: 'SV000',
  /** `next_id()`: the server's clock stepped back by more than the sequence can be ahead of it. */
  clockBehind: 'SV001',
  /** `next_id()`: the 41 bits of time are used up. */
  epochExhausted: 'SV002',
  /** The shard number given to a function of the server is outside 0–8191. */
  shardOutOfRange: 'SV003',
  /** The shard has moved: DETAIL holds JSON `{"epoch":"…","server":"…"}`. */
  shardMoved: 'SV004',
  /** A setting fixed at install time differs from the one asked for. */
  settingFixed: 'SV005',
  /** A compare-and-set met another version: DETAIL holds JSON `{"expected":…,"actual":…}`. */
  versionConflict: 'SV006',
  /** A leader's term is over: DETAIL holds JSON `{"epoch":…,"holder":…}` of the one that runs. */
  leaseLost: 'SV007',
  /** An atomic write may not begin on a shard that is being handed over. */
  shardOnTheMove: 'SV008',
  /** A shard that an import writes into may not be moved: DETAIL holds JSON `{"sources":[…]}`. */
  shardHeld: 'SV009',
  /** Import: another worker moved the position of the source. DETAIL holds JSON `{"ordinal":…,"position":…}`. */
  importPositionMoved: 'SV020',
  /** Import: a target schema belongs to another source. DETAIL holds JSON `{"schema":…,"source":…}`. */
  importSchemaTaken: 'SV021',
  /** Import: a table takes no writes, since its rows live elsewhere now. */
  importWritesRefused: 'SV022',
  /** Import: a shard its rows are to go into is on the move. DETAIL holds JSON `{"id":…,"shard":…,"source":…,"target":…,"state":…}`. */
  importShardMoving: 'SV023',
  /** kv: the version is not the next one of its key: DETAIL holds JSON `{"key":…,"newest":…,"asked":…}`. */
  kvOrdering: 'SV030',
  /** kv: the same or a newer version is published already: DETAIL holds JSON `{"key":…,"known":…}`. */
  kvConcurrent: 'SV031',
  /** The sequencing pass of streams was called under another isolation level than read committed. */
  passIsolation: 'SV040',
  /** An event is no longer in the hands of this consumer: its handler's transaction must not commit. */
  eventTaken: 'SV041',
  /** A copy of a reference table takes no writes: DETAIL holds JSON `{"server":…}` of its home. */
  referenceCopy: 'SV050',
} as const;

/** The SQLSTATE of an error thrown by node-postgres, or `undefined` when it has none (a lost connection). */
export function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const code: unknown = (error as { code?: unknown }).code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && 'severity' in error ? code : undefined;
}

/**
 * Whether an error says that the session is gone. node-postgres never makes 08006 or 08003 of its own:
 * a loss is an error with an operating system code, with no code at all, or one of the shutdown SQLSTATEs.
 */
export function isConnectionLoss(error: unknown): boolean {
  const state = sqlStateOf(error);
  if (state !== undefined) {
    return (
      state.startsWith('08') ||
      state === SQLSTATE.adminShutdown ||
      state === SQLSTATE.crashShutdown ||
      state === SQLSTATE.cannotConnectNow ||
      state === SQLSTATE.idleSessionTimeout ||
      state === SQLSTATE.idleInTransactionTimeout
    );
  }
  if (!(error instanceof Error)) return false;
  const code: unknown = (error as { code?: unknown }).code;
  if (typeof code === 'string') {
    return /^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ENOTFOUND|ENOENT)/.test(code);
  }
  return /connection|not queryable|read timeout|timeout expired/i.test(error.message);
}
