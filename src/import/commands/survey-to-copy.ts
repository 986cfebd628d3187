import type { SourceConfig } from '../config/source-config.ts';
import { PreflightError, type Problem } from '../errors.ts';
import { qualifiedName } from '../model/source-table.ts';
import type { ImportSource } from '../source/import-source.ts';
import type { EngineContext } from './context.ts';
import { type Survey, surveySource } from './survey.ts';

export interface SurveyToCopyOptions {
  readonly schemas?: readonly string[] | undefined;
  /** Whether a table (`schema.table`) is copied in this run. @default all */
  readonly isWanted?: ((table: string) => boolean) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The survey of a run that is about to copy. Routing columns that tables get from their parents are added first.
 * @throws PreflightError with everything that is wrong, before anything is changed
 */
export async function surveyToCopy(
  context: EngineContext,
  config: SourceConfig,
  { schemas, isWanted = () => true, signal }: SurveyToCopyOptions = {},
): Promise<Survey> {
  const reader = await context.openSource(config);
  try {
    const survey = await sound(context, config, reader, { schemas, isWanted });
    const additions = survey.additions.filter(({ table }) => isWanted(qualifiedName(table)));
    if (additions.length === 0) return survey;
    await reader.addKeyColumns!(additions, {
      onStep: (sentence) => context.log.info(`${config.name}: ${sentence}`),
      signal,
    });
    return await sound(context, config, reader, { schemas, isWanted });
  } finally {
    await reader.close();
  }
}

async function sound(
  context: EngineContext,
  config: SourceConfig,
  reader: ImportSource,
  { schemas, isWanted }: Pick<SurveyToCopyOptions, 'schemas'> & { isWanted: (table: string) => boolean },
): Promise<Survey> {
  const survey = await surveySource(context, config, reader, schemas === undefined ? {} : { schemas });
  const stands = ({ level, table }: Problem): boolean => level === 'error' && (table === null || isWanted(table));
  if (survey.problems.some(stands))
    throw new PreflightError(
      config.name,
      survey.problems.filter((problem) => problem.level !== 'error' || stands(problem)),
    );
  return survey;
}
