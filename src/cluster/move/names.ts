/** The table of a shard that carries the marker of its move, there while the move lasts. */
export const MARKER_TABLE = 'hv_move';

/** Rows flow this way: publication and slot on one server, subscription on the other, all of one name. */
export interface LinkNames {
  readonly forward: string;
  readonly back: string;
}

/** Names of a move's links. The token keeps installations apart that share a server. */
export function linkNames(token: string): LinkNames {
  return { forward: `hv_move_${token}`, back: `hv_back_${token}` };
}
