// Engines of one configuration in this process, which end with the test.
import { onTestFinished } from 'vitest';
import { ReplicaEngine, type ReplicaEngineOptions, type StartOptions } from '../../src/import/index.ts';

export interface EngineFixture {
  readonly config: object;
  readonly engine: ReplicaEngine;
  /** Registers the source and copies it. */
  init(): Promise<void>;
  /** Replicates in this process until the test ends, or the function returned is called. */
  start(options?: StartOptions): Promise<() => Promise<void>>;
  /** Another engine on the same configuration, as another process would have it. */
  another(): ReplicaEngine;
}

/** For a configuration with one source, `shop`. Made after the databases, for hooks run in reverse. */
export function engineFixture(config: object, options: Omit<ReplicaEngineOptions, 'config'> = {}): EngineFixture {
  const engines: ReplicaEngine[] = [];
  const another = (): ReplicaEngine => {
    const engine = new ReplicaEngine({ config, ...options });
    engines.push(engine);
    return engine;
  };
  const engine = another();
  const running = new Set<() => Promise<void>>();
  onTestFinished(async () => {
    await Promise.all([...running].map((stop) => stop()));
    await Promise.all(engines.map((one) => one.close()));
  });
  return {
    config,
    engine,
    another,
    init: async () => {
      await engine.createReplicaSchema();
      await engine.addSource('shop');
      const { tables, leftOut } = await engine.initReplica('shop');
      const failed = tables.filter(({ failure }) => failure !== null);
      if (failed.length + leftOut.length > 0) throw new Error(JSON.stringify({ failed, leftOut }));
    },
    start: async (options = {}) => {
      const stopping = new AbortController();
      let failure: unknown;
      let stop!: () => Promise<void>;
      const started = new Promise<void>((resolve) => {
        const run = engine.startReplica('shop', { ...options, signal: stopping.signal, onStarted: () => resolve() });
        stop = async () => {
          running.delete(stop);
          stopping.abort();
          await run.catch(() => {});
        };
        running.add(stop);
        run.catch((error: unknown) => {
          failure = error;
          resolve();
        });
      });
      await started;
      if (failure !== undefined) throw failure;
      return stop;
    },
  };
}
