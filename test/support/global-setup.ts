// One run of the tests shares two servers, started here; a template database is made once and cloned by freshDatabase().
import type { TestProject } from 'vitest/node';
import { startEmbedded } from '../../src/embedded/index.ts';
import type { ConnectionSettings } from '../../src/internal/endpoint/settings.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    servers: readonly (ConnectionSettings & { port: number; database: string })[];
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const embedded = await startEmbedded({
    servers: 2,
    // What is lost at a power cut does not matter here; tests of durability start servers of their own.
    settings: { fsync: false, full_page_writes: false, synchronous_commit: false, max_connections: 400 },
  });
  project.provide(
    'servers',
    embedded.servers.map(({ connection }) => connection),
  );
  return () => embedded.stop();
}
