import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Real servers on a few cores: more workers than this make the servers starve each other.
    maxWorkers: 2,
  },
});
