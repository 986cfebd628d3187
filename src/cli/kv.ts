import type { DefineCommand } from './context.ts';
import { defineKvCompact } from './kv-compact.ts';
import { defineKvEdit } from './kv-edit.ts';
import { defineKvHistory } from './kv-history.ts';
import { defineKvLog } from './kv-log.ts';
import { defineKvRead } from './kv-read.ts';
import { defineKvServe } from './kv-serve.ts';
import { withTarget } from './kv-target.ts';
import { defineKvTransfer } from './kv-transfer.ts';
import { defineKvWatch } from './kv-watch.ts';
import { defineKvWrite } from './kv-write.ts';

/** `hypervault kv …`: what pyrainer's command line does, and more. */
export const defineKv: DefineCommand = (group, context) => {
  withTarget(group).helpCommand(false);
  for (const define of [
    defineKvRead,
    defineKvWrite,
    defineKvEdit,
    defineKvLog,
    defineKvHistory,
    defineKvWatch,
    defineKvTransfer,
    defineKvCompact,
    defineKvServe,
  ]) {
    define(group, context);
  }
  group.addHelpText(
    'after',
    `
Example:
  hypervault kv serve --memory --base /diary &
  export HYPERVAULT_KV_URL=http://127.0.0.1:8080/diary
  echo '{"max":9}' | hypervault kv commit-value limits -m 'a first value'
  hypervault kv edit limits
  hypervault kv log limits`,
  );
};
