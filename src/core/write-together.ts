import type { Client } from 'pg';

/** What node-postgres needs of a socket while it sends. */
interface Outlet {
  readonly writable: boolean;
  write(bytes: Buffer): boolean;
  cork(): void;
  uncork(): void;
}

/** More than this is not copied: the memory would cost more than the pieces do. */
const MAX_COPIED_BYTES = 1 << 18;

/**
 * Runs `send` and puts all that node-postgres writes meanwhile on the wire as one piece.
 *
 * Corking the socket instead hands the kernel four pieces for each statement (bind, describe, execute, sync); one piece
 * gave a tenth to a fifth more reads per second with 64 and 256 callers. `send` must not wait for anything.
 */
export function writeTogether(client: Client, send: () => void): void {
  const { connection } = client as unknown as { connection: { stream: Outlet } };
  const { stream } = connection;
  const pieces: Buffer[] = [];
  let size = 0;
  connection.stream = {
    writable: stream.writable,
    write: (bytes) => {
      pieces.push(bytes);
      size += bytes.length;
      return true;
    },
    cork: () => {},
    uncork: () => {},
  };
  try {
    send();
  } finally {
    connection.stream = stream;
    if (size > 0 && size <= MAX_COPIED_BYTES) {
      stream.write(Buffer.concat(pieces, size));
    } else {
      stream.cork();
      for (const piece of pieces) stream.write(piece);
      stream.uncork();
    }
  }
}
