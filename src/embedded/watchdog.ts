import { type ChildProcess, spawn } from 'node:child_process';

/**
 * Ends a server when this process ends, however it ends, SIGKILL included: a shell reads a pipe whose other end only we
 * hold. It gets a line when all is well, and nothing but the end of the pipe when we died.
 *
 * $1 is the data folder, $2 a folder to remove, or ''.
 */
const SCRIPT = `
read -r word || word=
[ "$word" = done ] && exit 0
pid=$(head -n 1 "$1/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
  kill -QUIT "$pid" 2>/dev/null
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null
fi
[ -n "$2" ] && rm -rf "$2"
exit 0
`;

/** See {@link SCRIPT}. */
export class Watchdog {
  readonly #shell: ChildProcess | undefined;

  constructor(dataDirectory: string, removeAtEnd: string | undefined) {
    if (process.platform === 'win32') return;
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT, 'sh', dataDirectory, removeAtEnd ?? ''], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true, // Ctrl-C reaches the whole process group of a terminal, and must not reach this one
    });
    this.#shell.on('error', () => {});
    this.#shell.unref();
    (this.#shell.stdin as unknown as { unref(): void }).unref();
  }

  /** The server is stopped: nothing is left to be done. */
  dismiss(): void {
    this.#shell?.stdin?.on('error', () => {});
    this.#shell?.stdin?.end('done\n');
  }
}
