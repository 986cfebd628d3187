// One run of the tests shares two servers, started here, each with a template database that is cloned for tests.
import type { TestProject } from 'vitest/node';
import { install } from '../../src/core/index.ts';
import { startEmbedded } from '../../src/embedded/index.ts';
import type { ConnectionSettings } from '../../src/internal/endpoint/settings.ts';

import { TEMPLATE, TEMPLATE_SHARDS } from './template.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    servers: readonly (ConnectionSettings & { port: number; database: string })[];
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const embedded = await startEmbedded({
    servers: 2,
    // What is lost at a power cut does not matter here; tests of durability start servers of their own.
    database: TEMPLATE,
    settings: {
      fsync: false,
      full_page_writes: false,
      synchronous_commit: false,
      max_connections: 400,
      // A statement whose client has gone ends soon, so that what is left at the end of a test is a leak.
      client_connection_check_interval: '100ms',
    },
  });
  // Databases that testDatastore() clones: installed once, since that takes longer than most tests.
  await install(
    embedded.servers.map(({ connection }, index) => ({
      ...connection,
      name: TEMPLATE_SHARDS[index]!.name,
      shards: TEMPLATE_SHARDS[index]!.shards,
    })),
  );
  project.provide(
    'servers',
    embedded.servers.map(({ connection }) => connection),
  );
  return () => embedded.stop();
}
