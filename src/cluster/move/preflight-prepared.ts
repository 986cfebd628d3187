import { quoteLiteral } from '../../internal/quote.ts';
import type { ResolvedMoveOptions } from './options.ts';
import type { PreflightProblem } from './preflight.ts';
import type { SurveyedPrepared } from './preflight-survey.ts';

/** What is prepared on the source and stands against a move. */
export function preparedProblems(
  server: string,
  prepared: readonly SurveyedPrepared[],
  options: ResolvedMoveOptions,
): PreflightProblem[] {
  // Atomic writes end theirs by themselves; a move waits for one as for any writer.
  const here = prepared.filter((one) => one.here && !one.part && one.age_ms <= options.maxPreparedAgeMs);
  const names = here.map(({ gid }) => gid).join(', ');
  const message = `${server} holds prepared transactions (${names}); commit or roll them back, a pause would wait for them`;
  return [...oldPrepared(server, prepared, options), ...(here.length > 0 ? [{ check: 'prepared', message }] : [])];
}

/** Old ones of whatever database: a replication slot would wait for them, and nobody seems to end them. */
export function oldPrepared(
  server: string,
  prepared: readonly SurveyedPrepared[],
  { maxPreparedAgeMs }: ResolvedMoveOptions,
): PreflightProblem[] {
  return prepared
    .filter(({ age_ms }) => age_ms > maxPreparedAgeMs)
    .map(({ gid, database, role, age_ms, part }) => {
      const remedy = part
        ? 'it is a part of an atomic write; end it with hypervault janitor --remove'
        : `end it there, as ${role}, with commit prepared ${quoteLiteral(gid)} or rollback prepared ${quoteLiteral(gid)}`;
      return {
        check: 'prepared-old',
        message: `${server} holds the transaction ${quoteLiteral(gid)} in database ${database}, prepared ${Math.round(age_ms / 1_000)} s ago: no replication slot is ready before it ends; ${remedy}`,
      };
    });
}
