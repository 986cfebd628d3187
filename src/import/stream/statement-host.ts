import type { SourceTable } from '../model/source-table.ts';
import type { TargetTable } from '../model/target-table.ts';
import type { FollowedTable } from './followed-table.ts';

/** What following a statement needs to know of the configuration and the catalogue. */
export interface StatementHost {
  /** Whether changes of that table are wanted: its schema is mapped, and neither limit_tables nor skip_tables says no. */
  wants(schema: string, name: string): boolean;
  /** Whether the schema is mapped at all. */
  mapsSchema(schema: string): boolean;
  /** The target of a table; `as` a target schema of the mapping. @throws UnmappableTable */
  map(source: SourceTable): TargetTable;
  /** Registers a table that appeared in the source. Throws what makes it impossible. */
  register(source: SourceTable, target: TargetTable): Promise<FollowedTable>;
  /** Registers a table whose rows we do not have. */
  registerAside(source: SourceTable, reason: string): Promise<void>;
}
