#!/usr/bin/env node
import { withDefaultConfiguration } from './default-configuration.ts';
import { EXIT } from './exit.ts';
import { run } from './run.ts';

// A reader that has seen enough, like `head`, is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.done);
  throw error;
});

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    // Asked twice: whatever the command is still waiting for, it is over.
    if (stop.signal.aborted) process.exit(EXIT.failed);
    stop.abort(new Error(`got ${name}`));
  });
}

process.exitCode = await run(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  environment: withDefaultConfiguration(process.env),
  signal: stop.signal,
});
