import type { Problem } from '../errors.ts';
import { type EngineContext, sourceConfig } from './context.ts';
import { surveySource } from './survey.ts';

/** Everything that stands against copying a source (errors), and what will be different or left out (warnings). */
export async function preflight(context: EngineContext, name: string): Promise<readonly Problem[]> {
  const config = sourceConfig(context, name);
  const source = await context.openSource(config);
  const { problems } = await surveySource(context, config, source).finally(() => source.close());
  return problems;
}
