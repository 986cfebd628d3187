import { defineConfig } from 'vitest/config';
import { memoryFolder } from './test/support/memory-folder.ts';

// Before the workers and the run's servers are started, which inherit it.
const memory = process.env.TMPDIR === undefined ? memoryFolder() : undefined;
if (memory !== undefined) process.env.TMPDIR = memory;

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    setupFiles: ['test/support/leaks.ts'],
    // Every file in a process of its own, so that what leaks is counted where it leaked.
    pool: 'forks',
    // Some tests bound times, and a shared machine may stand still for a moment: only what fails every time is a failure.
    retry: process.env.CI ? 2 : 0,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Real servers on a few cores: more workers than this make the servers starve each other.
    maxWorkers: 2,
  },
});
