// Runs the command line in this process, with streams that are read afterwards.
import { PassThrough } from 'node:stream';
import { run } from '../../src/cli/run.ts';

export interface CliResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The lines of stdout, parsed. */
  readonly json: () => unknown[];
}

/** Runs `hypervault ...args`; `stdin` is what is piped in. */
export async function hypervault(
  args: readonly string[],
  {
    stdin = '',
    environment = {},
    signal = new AbortController().signal,
  }: { stdin?: string; environment?: Record<string, string>; signal?: AbortSignal } = {},
): Promise<CliResult> {
  const [input, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const [out, err] = [gathered(stdout), gathered(stderr)];
  input.end(stdin);
  const exitCode = await run(args, {
    stdin: input as unknown as NodeJS.ReadStream,
    stdout: stdout as unknown as NodeJS.WriteStream,
    stderr: stderr as unknown as NodeJS.WriteStream,
    environment,
    signal,
  });
  const printed = out();
  return {
    exitCode,
    stdout: printed,
    stderr: err(),
    json: () => printed.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as unknown])),
  };
}

/** Reads all the time: a stream that nobody reads keeps back what is more than it may hold. */
function gathered(stream: PassThrough): () => string {
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return () => text;
}
