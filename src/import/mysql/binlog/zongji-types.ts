/** The parts of `@vlasky/zongji` 0.9 and of mysql2 that the transport holds on to; its own types leave them out. */
export interface ZongJi {
  readonly connection: StreamConnection | null;
  readonly useChecksum: boolean;
  readonly isMariaDb: boolean;
  readonly BinlogClass: { readonly prototype: BinlogCommand };
  on(name: 'ready' | 'stopped', listener: () => void): this;
  on(name: 'error', listener: (error: Error) => void): this;
  on(name: 'binlog', listener: (event: BinlogEvent) => void): this;
  once(name: 'stopped', listener: () => void): this;
  start(options: Record<string, unknown>): void;
  stop(): void;
}

interface StreamConnection {
  pause(): void;
  resume(): void;
  query(sql: string, done: (error: Error | null) => void): void;
}

interface BinlogCommand {
  binlogData: PacketHandler;
  onResult?: (error: Error) => void;
}

type PacketHandler = (this: unknown, packet: Packet, connection: unknown) => PacketHandler | null;

/** A packet of mysql2: the bytes from `offset` to `end` of a larger buffer. */
export interface Packet {
  readonly buffer: Buffer;
  /** Moves on while the packet is read. */
  offset: number;
  readonly end: number;
}

/** An event as zongji decodes it; which of the fields are there hangs on the type. */
export interface BinlogEvent {
  getTypeName(): string;
  /** Milliseconds since 1970, in whole seconds. */
  readonly timestamp: number;
  readonly nextPosition: number;
  /** Query: the default database of the session. */
  readonly schema?: string;
  readonly query?: string;
  readonly statusVars?: string;
  /** Rotate. */
  readonly binlogName?: string;
  readonly position?: number;
  /** Gtid, MariadbGtid: of the transaction that begins. */
  readonly gtid?: string;
  readonly standalone?: boolean;
  readonly preparedXa?: boolean;
  readonly isDdl?: boolean;
  /** XaPrepare. */
  readonly onePhase?: boolean;
  readonly xidFormatId?: number;
  readonly xidGtrid?: Buffer;
  readonly xidBqual?: Buffer;
}
