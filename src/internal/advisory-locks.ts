/**
 * Classes of our advisory locks: the first integer of each `(class, key)` pair, for TypeScript and SQL alike.
 * One table, so that no two parts of the package can collide. SQL files repeat the number with the name in a comment.
 *
 * | class | key | held by |
 * |---|---|---|
 * | `install` | 0 = the server's schema, else shard | schema install and migrations |
 * | `nextId` | shard | the slow path of the id generator |
 * | `shard` | shard | a move, a migration: whoever changes the shard's structure |
 * | `streamsSequence` | shard | the sequencing pass of streams |
 * | `import` | source id | a replica worker |
 * | `move` | shard | in the control database: the one mover of a shard |
 * | `moverSessions` | shard | shared by each further session of a mover; exclusive, for a moment, by the next mover |
 * | `references` | 0 | who makes or ends copies of reference tables: at their home, and on the server of each copy |
 * | `writers` | shard | the gate of a shard on the move: shared by who writes, exclusive by who shuts or opens it |
 * | `placing` | 0 | in the control database: whoever begins a move or an import, while it looks for the other |
 * | `slot` | hash of its name | where an import has a slot and a publication: whoever makes or drops them |
 * | `importWork` | of the source | shared by the sessions that work for a source on its servers, exclusive by who ends them |
 */
export const ADVISORY_LOCK_CLASS = {
  install: 0x48560001,
  nextId: 0x48560002,
  shard: 0x48560003,
  streamsSequence: 0x48560004,
  import: 0x48560005,
  move: 0x48560006,
  writers: 0x48560007,
  moverSessions: 0x48560008,
  placing: 0x48560009,
  slot: 0x4856000a,
  references: 0x4856000b,
  importWork: 0x4856000c,
} as const;
