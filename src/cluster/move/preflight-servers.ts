import type { PreflightOrder, PreflightProblem } from './preflight.ts';
import { oldPrepared, preparedProblems } from './preflight-prepared.ts';
import type { MoveServerSurvey } from './preflight-survey.ts';

/** A slot for the stream and two for the tables that are copied at the same time. */
const SLOTS = 3;
const LEAST_VERSION = 15;
/** From here on roles other than superusers may subscribe. */
const ROLE_VERSION = 16;

/** What stands against a move between two servers, whatever the shard. */
export function serverProblems(
  { source, target, schema, options, resumed }: PreflightOrder,
  from: MoveServerSurvey,
  to: MoveServerSurvey,
): PreflightProblem[] {
  const problems: PreflightProblem[] = [];
  const refuse = (check: string, when: boolean, message: string): void => {
    if (when) problems.push({ check, message });
  };
  const [a, b] = [source.name, target.name];
  refuse('same', from.identity === to.identity, `${a} and ${b} are names of one database; name another target`);
  for (const [name, survey] of [
    [a, from],
    [b, to],
  ] as const) {
    refuse('standby', survey.standby, `${name} is a standby; give its primary`);
    refuse(
      'version',
      survey.version < LEAST_VERSION,
      `${name} runs Postgres ${survey.version}; moves need 15 or newer`,
    );
    refuse(
      'wal_level',
      survey.wal_level !== 'logical',
      `${name} has wal_level = ${survey.wal_level}; set it to logical and restart the server`,
    );
    refuse(
      'replication',
      !survey.may_replicate,
      `the role ${survey.role} may not replicate on ${name}; a superuser may run: alter role ${survey.role} replication`,
    );
    refuse(
      'create',
      !survey.may_create,
      `the role ${survey.role} may not make publications on ${name}; its owner may run: grant create on database … to ${survey.role}`,
    );
    refuse(
      'subscribe',
      !survey.may_subscribe || (survey.version < ROLE_VERSION && !survey.superuser),
      survey.version < ROLE_VERSION
        ? `the role ${survey.role} may not subscribe on ${name}: before Postgres 16 only superusers may`
        : `the role ${survey.role} may not subscribe on ${name}; a superuser may run: grant pg_create_subscription to ${survey.role}`,
    );
  }
  refuse(
    'slots',
    from.free_slots < SLOTS,
    `${a} has ${from.free_slots} free replication slots and a move needs ${SLOTS}; raise max_replication_slots`,
  );
  refuse(
    'senders',
    from.free_senders < SLOTS,
    `${a} has ${from.free_senders} free senders and a move needs ${SLOTS}; raise max_wal_senders`,
  );
  refuse(
    'workers',
    to.free_workers < SLOTS,
    `${b} has ${to.free_workers} free workers for replication and a move needs ${SLOTS}; raise max_logical_replication_workers and max_worker_processes`,
  );
  refuse(
    'encoding',
    from.encoding !== to.encoding,
    `${a} is in ${from.encoding} and ${b} in ${to.encoding}; make the target's database with the same encoding`,
  );
  refuse(
    'collation',
    from.collation !== to.collation,
    `${a} collates by ${from.collation} and ${b} by ${to.collation}: orders and unique texts would differ; make the target's database alike`,
  );
  for (const [name, version] of Object.entries(from.extensions)) {
    const there = to.extensions[name];
    // hstore is made with the schemas when it is not there.
    if (there === version || (there === undefined && name === 'hstore')) continue;
    refuse(
      'extensions',
      true,
      `the extension ${name} is of version ${version} on ${a} and ${there === undefined ? 'missing' : `of ${there}`} on ${b}; create or update it there`,
    );
  }
  refuse('installed', !from.installed, `${a} is not installed; run hypervault init`);
  refuse(
    'settings',
    to.settings !== null && from.settings !== null && from.settings !== to.settings,
    `${a} was installed with ${from.settings}, ${b} with ${to.settings}: they are of two installations`,
  );
  const apart = Math.abs(from.clock_ms - from.asked_at - (to.clock_ms - to.asked_at));
  refuse(
    'clock',
    apart > options.maxClockDifferenceMs,
    `the clocks of ${a} and ${b} are ${Math.round(apart)} ms apart, more than ${options.maxClockDifferenceMs}; set them right, new ids would wait or carry wrong times`,
  );
  problems.push(...preparedProblems(a, from.prepared, options));
  // The slot of the way back is made there.
  if (options.wayBack) problems.push(...oldPrepared(b, to.prepared, options));
  refuse(
    'old-transaction',
    (from.oldest_ms ?? 0) > options.maxTransactionAgeMs,
    `a transaction on ${a} is open for ${Math.round((from.oldest_ms ?? 0) / 1000)} s; end it first, the copy would wait for it`,
  );
  refuse(
    'target-schema',
    to.schema_there && !resumed,
    `${b} holds a schema ${schema} already; look with hypervault fsck, remove what a dead move left with hypervault janitor --remove`,
  );
  return problems;
}
