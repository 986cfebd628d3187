import { dropReferences, syncReferences } from '../cluster/index.ts';
import { wholeNumber } from './arguments.ts';
import { serversOf } from './cluster-parts.ts';
import { type DefineCommand, subcommand, withConfig } from './context.ts';
import { serverNamed } from './shard-argument.ts';

interface Options {
  readonly config?: string;
  readonly home: string;
  readonly schema: string;
}

/** `hypervault reference sync | remove`. */
export const defineReference: DefineCommand = (command, context) => {
  const { output, signal } = context;

  withConfig(
    subcommand(command, 'sync').description('make the tables on all servers, and carry the rows of their home'),
  )
    .argument('[directory]', 'the folder with 001-what.sql, 002-….sql', 'reference')
    .requiredOption('--home <server>', 'the server whose tables take writes')
    .option('--schema <name>', 'the schema they are in', 'reference')
    .option('--server <name...>', 'only these servers and the home')
    .option('--timeout-ms <n>', 'longest wait for the copies', wholeNumber('--timeout-ms', 1, 86_400_000), 60_000)
    .action(async (directory: string, options: Options & { timeoutMs: number; server?: string[] }) => {
      const { home, schema, timeoutMs, server } = options;
      const configuration = await context.configuration(options);
      for (const name of server ?? []) serverNamed(configuration, '--server', name);
      const all = serversOf(configuration);
      const servers =
        server === undefined
          ? all
          : Object.fromEntries(Object.entries(all).filter(([name]) => name === home || server.includes(name)));
      const result = await syncReferences(servers, { home, directory, schema, timeoutMs, signal });
      output.value(result, () => {
        const copies = result.copies.map((copy) => [copy.server, copy.made ? 'copied' : 'was there']);
        return `${schema}: ${result.tables.join(', ')}\n${output.table(['server', 'tables'], [[home, 'home'], ...copies])}`;
      });
    });

  withConfig(subcommand(command, 'remove').description('end the copy on one server; its tables stay'))
    .argument('<server>', 'the server that keeps no copy any more')
    .requiredOption('--home <server>', 'the server whose tables take writes')
    .option('--schema <name>', 'the schema they are in', 'reference')
    .action(async (server: string, { home, schema, ...options }: Options) => {
      await dropReferences(serversOf(await context.configuration(options)), server, { home, schema, signal });
      output.note(`${server} keeps no copy of ${schema} any more`);
    });
};
