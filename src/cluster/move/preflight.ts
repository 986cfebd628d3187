import type { Client } from 'pg';
import type { ResolvedMoveOptions } from './options.ts';
import type { Party } from './parties.ts';
import { importProblems } from './preflight-import.ts';
import { serverProblems } from './preflight-servers.ts';
import { shardProblems } from './preflight-shard.ts';
import { surveyMoveServer, surveyMoveShard } from './preflight-survey.ts';

/** A check that failed: its stable name, and a sentence with the remedy. */
export interface PreflightProblem {
  readonly check: string;
  readonly message: string;
}

/** What a check needs beside the two servers. */
export interface PreflightOrder {
  readonly shardId: number;
  readonly schema: string;
  readonly source: Party;
  readonly target: Party;
  readonly options: ResolvedMoveOptions;
  /** The target schema was made by this very move, before it was interrupted. */
  readonly resumed: boolean;
  /** Sources of imports that write into the shard. */
  readonly holders: readonly string[];
}

/** Everything that stands against a move, found without changing anything. Empty when nothing does. */
export async function preflight(order: PreflightOrder): Promise<PreflightProblem[]> {
  const { source, target, schema } = order;
  const [from, to] = await Promise.all([surveyMoveServer(source, schema), surveyMoveServer(target, schema)]);
  const shard = await surveyMoveShard(source.client, schema);
  const missingRoles = await rolesMissing(target.client, shard.roles);
  return [
    ...importProblems(order.shardId, order.holders),
    ...serverProblems(order, from, to),
    ...shardProblems(order, from, shard, missingRoles),
  ];
}

async function rolesMissing(client: Client, roles: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ role: string }>(
    `select role from unnest($1::text[]) as role where not exists (select from pg_roles where rolname = role)`,
    [roles],
  );
  return rows.map(({ role }) => role);
}
