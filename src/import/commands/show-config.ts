import type { EngineContext } from './context.ts';

/** The configuration as it is understood, with every default; passwords and keys are hidden. */
export function showConfig({ config, places }: EngineContext): Record<string, unknown> {
  const { topology, sources, fillfactors, ...rest } = config;
  return hidden({
    ...rest,
    control: topology.control,
    servers: Object.fromEntries(topology.servers),
    shards:
      places.map === null ? null : Object.fromEntries(places.map.servers.map(({ name, ranges }) => [name, ranges])),
    fillfactors: Object.fromEntries(fillfactors),
    sources: Object.fromEntries(sources),
  }) as Record<string, unknown>;
}

const SECRET = /^(password|rollbarKey|key)$/i;

function hidden(value: unknown): unknown {
  if (typeof value === 'function') return '(function)';
  if (Array.isArray(value)) return value.map(hidden);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => {
      // What comes behind the server's name is often a secret
      if (/^(webhook|rollbar)Url$/.test(name) && typeof item === 'string')
        return [name, item.replace(/^(\w+:\/\/)(?:[^@/]*@)?([^/?#]*).*$/s, '$1$2/********')];
      if (SECRET.test(name) && item !== null && item !== '') return [name, '********'];
      if (name === 'connectionString' && typeof item === 'string')
        return [name, item.replace(/:[^:@/]*@/, ':********@')];
      return [name, hidden(item)];
    }),
  );
}
