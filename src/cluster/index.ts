/**
 * `pg-hypervault/cluster`: the live shard map, its proof, and migrations over every shard.
 *
 * @module
 */

export {
  type AtomicOptions,
  type AtomicStep,
  type AtomicWriteOptions,
  AtomicWrites,
  atomicWrites,
} from './atomic/atomic-writes.ts';
export type { PartDecision, PreparedReport } from './atomic/in-doubt.ts';
export { type AtomicJanitorOptions, atomicJanitor } from './atomic/janitor.ts';
export type { AtomicPart } from './atomic/part-name.ts';
export type { PartProblem, PartProblemKind } from './atomic/part-problems.ts';
export type { Prepared } from './atomic/prepared.ts';
export type { InDoubt } from './atomic/recover.ts';
export { connectionBudget, type ServerBudget } from './connection-budget.ts';
export {
  AtomicPartLostError,
  AtomicWriteUndoneError,
  LookupTakenError,
  MapConflictError,
  MapMissingError,
  MapRefusedError,
  MigrationsFailedError,
  MovesFailedError,
  ServerOutdatedError,
} from './errors.ts';
export type { JanitorFinding } from './finding.ts';
export { type FsckOptions, type FsckResult, fsck, type MapProblem, type MapProblemKind } from './fsck.ts';
export { type InitOptions, type InitResult, initCluster } from './init.ts';
export { LiveShardMap, type LiveShardMapOptions, liveShardMap } from './live-shard-map.ts';
export { type LookupRepair, UniqueLookup, type UniqueLookupOptions, uniqueLookup } from './lookup/unique-lookup.ts';
export { documentOf, formatMapDocument, type MapDocument, mapOf, parseMapDocument } from './map-document.ts';
export { type MapAuthor, MapStore, type MapVersion, readMap } from './map-store.ts';
export { type MigrateOptions, type MigrateProgress, type MigrateResult, migrate, migrationStatus } from './migrate.ts';
export {
  abortMoves,
  finishMoves,
  janitor,
  listMoves,
  MOVE_STEPS,
  MoveBusyError,
  type MoveObjects,
  type MoveOptions,
  type MovePlan,
  MovePreflightError,
  type MoveProgress,
  type MoveRow,
  type MoveSelection,
  type MoveSetting,
  MoveStalledError,
  type MoveState,
  MoveStateError,
  type MoveStep,
  moveShards,
  type PreflightProblem,
  planMoves,
  resumeMoves,
  revertMoves,
  type StepPhase,
  type TraceKind,
} from './move/index.ts';
export { type MapCheck, ownerCheck } from './owner-check.ts';
export { afterBegun, assertNonePinned, type Begun, withOpenMoves } from './rebalance/open-moves.ts';
export {
  type MovesPlan,
  type PlanBy,
  type PlannedMove,
  type PlanShard,
  planDrain,
  planRebalance,
  type ServerLoad,
} from './rebalance/plan.ts';
export { type MoveOutcome, type RunPlanOptions, runPlan } from './rebalance/run-plan.ts';
export { surveyShards } from './rebalance/survey.ts';
export { rebuildMap } from './rebuild-map.ts';
export type { ReferenceOptions, SyncReferencesOptions } from './reference/options.ts';
export { dropReferences, type ReferencesResult, syncReferences } from './reference/sync-references.ts';
export { retireOutdated } from './retire.ts';
export {
  type ClusterServerReport,
  type ClusterStatus,
  type ClusterStatusOptions,
  clusterStatus,
} from './status/cluster-status.ts';
export type { Leftover } from './status/leftovers.ts';
export type { MoveReport } from './status/moves.ts';
export type { ReplicationReport, SlotReport, StandbyReport } from './status/replication.ts';
export type { ShardReport } from './status/shards.ts';
export type { LagPassed, RowDifference } from './verify/settle-rows.ts';
export { slotsApplied, slotsReadBy } from './verify/slots-applied.ts';
export {
  type ShardVerification,
  type VerifyPosition,
  type VerifyProgress,
  type VerifyShardOptions,
  verifyShard,
} from './verify/verify-shard.ts';
export type { TableVerification } from './verify/verify-table.ts';
