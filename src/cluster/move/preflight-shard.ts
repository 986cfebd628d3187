import type { PreflightOrder, PreflightProblem } from './preflight.ts';
import type { MoveServerSurvey, MoveShardSurvey } from './preflight-survey.ts';

/** What stands against moving this shard, whatever the servers. */
export function shardProblems(
  { source, target, schema, options }: PreflightOrder,
  server: MoveServerSurvey,
  shard: MoveShardSurvey,
  missingRoles: readonly string[],
): PreflightProblem[] {
  const [a, b] = [source.name, target.name];
  if (!shard.there) return [{ check: 'schema', message: `${a} holds no schema ${schema}; look with hypervault fsck` }];
  const problems: PreflightProblem[] = [];
  const refuse = (check: string, found: readonly unknown[] | boolean, message: string): void => {
    if (found === true || (Array.isArray(found) && found.length > 0)) problems.push({ check, message });
  };
  refuse(
    'identity',
    shard.without_identity,
    `tables without a primary key or replica identity: ${shard.without_identity.join(', ')}; give each a primary key, once published its updates would fail`,
  );
  refuse(
    'not-carried',
    shard.not_carried,
    `${shard.not_carried.join(', ')}: replication does not carry these; drop them, or make them ordinary tables`,
  );
  refuse(
    'inherited',
    shard.inherited,
    `${shard.inherited.join(', ')}: partitioned and inherited tables can't be moved yet; shards are partitions already`,
  );
  refuse(
    'triggers',
    shard.always_triggers,
    `triggers that fire for replicated rows too: ${shard.always_triggers.join(', ')}; they would do their work twice, enable them without ALWAYS or REPLICA`,
  );
  refuse(
    'foreign-keys',
    shard.outside_keys,
    `foreign keys into or out of the shard: ${shard.outside_keys.join(', ')}; a shard that moves leaves the other table behind`,
  );
  refuse(
    'large-objects',
    shard.large_objects,
    `columns that may point to large objects, which replication does not carry: ${shard.large_objects.join(', ')}; use bytea`,
  );
  refuse(
    'owner',
    !shard.may_act,
    `the role ${server.role} may not act for ${shard.owner}, who owns ${schema} on ${a}; run: grant ${shard.owner} to ${server.role}`,
  );
  refuse(
    'roles',
    missingRoles,
    `roles that have rights in the shard and are missing on ${b}: ${missingRoles.join(', ')}; make them there first`,
  );
  if (!options.acceptStaleReads) {
    refuse(
      'app-role',
      shard.usage.length === 0,
      `nobody but its owner may use ${schema}, so programs use it as ${shard.owner}, whom no REVOKE binds: they could go on reading the old copy; give programs a role of their own (hypervault init --grant-to ROLE), or accept stale reads`,
    );
    refuse(
      'app-role',
      shard.unbound,
      `${shard.unbound.join(', ')} may use ${schema} and is a superuser or acts for its owner, whom no REVOKE binds: it could go on reading the old copy; take those rights away, or accept stale reads`,
    );
  }
  return problems;
}
