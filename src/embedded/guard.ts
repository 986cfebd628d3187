import { type ChildProcess, spawn } from 'node:child_process';
import { ConfigurationError } from '../errors.ts';

/**
 * Servers end with this process however it ends – by SIGKILL too, which no handler sees – and the program's own signal
 * handlers and exit code stay its own. A small shell beside it reads a pipe of which only we hold the other end; when we
 * are gone, the kernel closes it, and the shell ends what it was told of and removes what was temporary.
 *
 * Lines on the pipe: `process PID SIGNAL FOLDER`, `frozen PID` (needs SIGCONT before it can end), `remove FOLDER`.
 * A process is only signalled while its command line names its folder, so a number that the kernel has given to
 * another process since is safe. What has not ended after 10 s is killed.
 */
const SCRIPT = `
trap '' INT TERM HUP
processes= frozen= folders=
while read -r word rest; do
  case $word in
    process) processes="$processes$rest
" ;;
    frozen) frozen="$frozen $rest" ;;
    remove) folders="$folders$rest
" ;;
  esac
done
runs() {
  if [ -r "/proc/$1/cmdline" ]; then words=$(tr '\\0' ' ' <"/proc/$1/cmdline")
  else words=$(ps -ww -o args= -p "$1"); fi 2>/dev/null
  case $words in *"$2"*) kill -0 "$1" 2>/dev/null ;; *) false ;; esac
}
each() {
  left=0
  while read -r pid signal folder; do
    [ -n "$pid" ] && runs "$pid" "$folder" && left=1 && [ -n "$1" ] && kill "-$( [ "$1" = first ] && echo "$signal" || echo "$1" )" "$pid"
  done <<END
$processes
END
}
for pid in $frozen; do kill -CONT "$pid" 2>/dev/null; done
each first
turn=0
while [ $left = 1 ] && [ $turn -lt 200 ]; do sleep 0.05; turn=$((turn + 1)); each; done
each KILL
while [ $left = 1 ] && [ $turn -lt 300 ]; do sleep 0.05; turn=$((turn + 1)); each; done
while read -r folder; do
  [ -n "$folder" ] && rm -rf "$folder"
done <<END
$folders
END
`;

/** Told what to end and to remove with this process. */
export interface Guard {
  /** @param folder is named on the process' command line */
  watch(pid: number, signal: 'INT' | 'QUIT' | 'TERM', folder: string): void;
  frozen(pid: number): void;
  remove(folder: string): void;
  /** Nothing is left to be done: called when all it was told of has ended and is removed. */
  release(): void;
}

let shell: ChildProcess | undefined;
let holders = 0;

/** The guard of this process; the shell is there as long as somebody holds it. */
export function holdGuard(): Guard {
  shell ??= startShell();
  holders += 1;
  const pipe = shell.stdin;
  const tell = (line: string): void => {
    if (line.includes('\n')) throw new ConfigurationError('startEmbedded: a folder name may not hold a line break');
    pipe?.write(`${line}\n`);
  };
  let held = true;
  return {
    watch: (pid, signal, folder) => tell(`process ${pid} ${signal} ${folder}`),
    frozen: (pid) => tell(`frozen ${pid}`),
    remove: (folder) => tell(`remove ${folder}`),
    release() {
      if (!held) return;
      held = false;
      holders -= 1;
      if (holders > 0) return;
      pipe?.end();
      shell = undefined;
    },
  };
}

function startShell(): ChildProcess {
  const started = spawn('/bin/sh', ['-c', SCRIPT, 'pg-hypervault-guard'], {
    cwd: '/',
    // Ctrl-C reaches the whole process group of a terminal, and must not reach this one.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Without a shell, servers still end with stop(); only a sudden end would leave them.
  started.on('error', () => {});
  started.stdin.on('error', () => {});
  started.unref();
  (started.stdin as unknown as { unref(): void }).unref();
  return started;
}
