import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Configuration, readConfiguration } from '../../src/config/index.ts';
import { ShardRangeError } from '../../src/core/index.ts';
import { ConfigurationError } from '../../src/errors.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hypervault-config-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(text: string, name = 'hypervault.yaml'): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

async function read(text: string, environment: Record<string, string> = {}) {
  return readConfiguration(await file(text), environment);
}

const FULL = `
servers:
  eu1: { host: db1, port: 5433, database: app, user: me, password: "\${PW}", standbys: [db1b] }
  eu2:
    hosts: [db2, "db2b:6000"]
    database: app
    ssl: true
shards:
  eu1: 1-9
  eu2: [9-12, 14-17]
control: { server: eu1, database: vault }
slots: 16
firstShard: 1
epoch: 2020-01-01T00:00:00Z
schemaPrefix: part
pool: { poolMax: 20, prepare: false }
kv:
listen: { heartbeatMs: 1000 }
streams: false
`;

describe('readConfiguration', () => {
  it('reads a whole file', async () => {
    const config = await read(FULL, { PW: '0123' });
    const eu1 = { port: 5433, database: 'app', user: 'me', password: '0123', hosts: ['db1', 'db1b'] };
    expect(config.connections).toEqual([
      { ...eu1, name: 'eu1', shards: [{ from: 1, to: 9 }] },
      {
        hosts: ['db2', 'db2b:6000'],
        database: 'app',
        ssl: true,
        name: 'eu2',
        shards: [
          { from: 9, to: 12 },
          { from: 14, to: 17 },
        ],
      },
    ]);
    expect(config.control).toEqual({ ...eu1, database: 'vault' });
    const fixed = { epoch: Date.UTC(2020, 0), slots: 16, firstShard: 1, schemaPrefix: 'part' };
    expect(config.fixed).toEqual(fixed);
    expect(config.datastore).toEqual({ poolMax: 20, prepare: false, ...fixed });
    expect([...config.sections]).toEqual([
      ['kv', {}],
      ['listen', { heartbeatMs: 1_000 }],
    ]);
  });

  it('takes an object of the same shape, and leaves functions alone', async () => {
    const password = async (): Promise<string> => 'token';
    const source: Configuration = {
      servers: { a: { host: 'db1', password } },
      shards: { a: '1-3' },
      control: 'a',
      kv: true,
    };
    const config = await readConfiguration(source, {});
    expect(config.connections).toEqual([{ host: 'db1', password, name: 'a', shards: [{ from: 1, to: 3 }] }]);
    expect(config.control).toEqual({ host: 'db1', password });
    expect([...config.sections.keys()]).toEqual(['kv']);
  });

  it('reads JSON of the same shape', async () => {
    const json = await file(`{"servers":{"a":{"port":"\${PORT}","user":"\${PORT}"}},"shards":{"a":"1-3"}}`, 'c.json');
    const config = await readConfiguration(json, { PORT: '6000' });
    expect(config.servers.get('a')).toEqual({ port: 6000, user: '6000' });
  });

  it('follows the live map when told so', async () => {
    expect((await read('servers: { a: { host: x } }\nshards: live\ncontrol: a')).connections).toBe('live');
    await expect(read('servers: { a: { host: x } }\nshards: live')).rejects.toThrow(/live shards need control/);
  });

  it('needs no shards for what lives in one database', async () => {
    expect((await read('servers: { a: { host: x } }\ncontrol: a')).connections).toBeUndefined();
  });
});

describe('environment variables', () => {
  it('are put in, typed where they stand alone', async () => {
    const text = `servers: { a: { port: '\${PORT}', host: "\${HOST}.example", ssl: '\${SSL}', user: '\${PORT}', password: "$\${x}" } }`;
    const config = await read(text, { PORT: '6000', HOST: 'db', SSL: 'true' });
    expect(config.servers.get('a')).toEqual({
      port: 6000,
      host: 'db.example',
      ssl: true,
      user: '6000',
      password: `\${x}`,
    });
  });

  it('cannot smuggle structure in', async () => {
    const config = await read(`servers:\n  a:\n    password: \${PW}`, { PW: `x', host: evil } # \${PW}` });
    expect(config.servers.get('a')).toEqual({ password: `x', host: evil } # \${PW}` });
  });

  it('are named when missing or malformed', async () => {
    await expect(read(`servers:\n  a:\n    password: \${PW}`)).rejects.toThrow(
      'hypervault.yaml:3: servers.a.password: the environment variable PW is not set',
    );
    await expect(read(`servers: { a: { host: "\${9x}" } }`)).rejects.toThrow(/\$\{9x\} is no name/);
  });

  it('must be quoted inside braces', async () => {
    await expect(read(`servers: { a: { password: \${PW} } }`)).rejects.toThrow(/a variable must be quoted/);
  });

  it('are not looked at in objects', async () => {
    const config = await readConfiguration({ servers: { a: { password: `\${PW}` } } }, { PW: 'x' });
    expect(config.servers.get('a')).toEqual({ password: `\${PW}` });
  });
});

describe('mistakes are named with file, line and key', () => {
  it.each([
    ['servers: {a: {}}\nshard: {a: 1-9}', 'hypervault.yaml:2: shard: unknown key "shard"; did you mean "shards"?'],
    [
      'servers:\n  a:\n    host: x\n    prot: 1',
      'hypervault.yaml:4: servers.a.prot: unknown key "prot"; did you mean "port"?',
    ],
    [
      'servers: {a: {}}\npool:\n  poolmax: 3',
      'hypervault.yaml:3: pool.poolmax: unknown key "poolmax"; did you mean "poolMax"?',
    ],
    ['servers: {a: {}}\npool:\n  poolMax: lots', 'hypervault.yaml:3: pool.poolMax: must be a whole number, not lots'],
    ['servers: {a: {}}\nshards:\n  a: 9-1', 'hypervault.yaml:3: shards.a: the range 9-1 is reversed; write 1-9'],
    ['servers: {a: {}}\nshards:\n  b: 1-9', 'hypervault.yaml:3: shards.b: there is no server "b"; servers: a'],
    ['servers: {a: {}}\ncontrol: b', 'hypervault.yaml:2: control: there is no server "b"; servers: a'],
    [
      'servers: {a: {}}\ncontrol: {sever: a}',
      'hypervault.yaml:2: control.sever: unknown key "sever"; did you mean "server"?',
    ],
    ['servers: {a: {host: 1}}', 'hypervault.yaml:1: servers.a.host: must be a text'],
    ['servers: {a: {password: 123}}', 'hypervault.yaml:1: servers.a.password: must be a text; quote it'],
    ['servers: {a: {hosts: x}}', 'hypervault.yaml:1: servers.a.hosts: must be a list'],
    ['servers: {a: {port: 99999}}', 'hypervault.yaml:1: servers.a: port: 99999 is not a port'],
    ['servers: {a: {host: x, hosts: [y]}}', 'host and hosts are both given'],
    ['servers: {a: null}', 'hypervault.yaml:1: servers.a: must be connection settings'],
    ['servers: {}', 'hypervault.yaml:1: servers: name at least one server'],
    ['servers: [a]', 'hypervault.yaml:1: servers: must be servers by name'],
    ['kv:', 'hypervault.yaml: servers is missing'],
    ['', 'hypervault.yaml: must be an object with servers and shards'],
    ['servers: {a: {}}\nslots: many', 'hypervault.yaml:2: slots: must be a whole number, not many'],
    ['servers: {a: {}}\nepoch: 2020-01-01T00:00:00', 'hypervault.yaml:2: epoch: must be milliseconds since 1970'],
    ['servers: {a: {}}\nkv: 3', 'hypervault.yaml:2: kv: must be an object, true or false'],
    ['servers: {a: {}\nkv: 3', 'hypervault.yaml:2:1: Flow map in block collection must be'],
    ['servers: {a: {}}\nservers: {b: {}}', 'hypervault.yaml:2:1: Map keys must be unique'],
  ])('%j', async (text, message) => {
    const reading = read(text);
    await expect(reading).rejects.toBeInstanceOf(ConfigurationError);
    await expect(reading).rejects.toThrow(message);
  });

  it('names both servers of an overlap', async () => {
    const reading = read('servers: {a: {}, b: {}}\nshards:\n  a: 1-9\n  b: 8-12');
    await expect(reading).rejects.toBeInstanceOf(ShardRangeError);
    await expect(reading).rejects.toThrow(
      'hypervault.yaml:2: shards: shard 8 is claimed twice: by server "a" (1-9) and by server "b" (8-12)',
    );
  });

  it('locates keys of objects by their path', async () => {
    const source = { servers: { a: { prot: 1 } } } as unknown as Configuration;
    await expect(readConfiguration(source, {})).rejects.toThrow('servers.a.prot: unknown key "prot"');
  });

  it('says why a file cannot be read', async () => {
    await expect(readConfiguration(join(folder, 'none.yaml'), {})).rejects.toThrow(/none.yaml can't be read: ENOENT/);
  });

  it('is not fooled by a bomb of aliases', async () => {
    const bomb = [
      'a0: &a0 [x,x,x,x,x,x,x,x,x,x]',
      ...Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}*a${i}]`),
    ];
    await expect(read(bomb.join('\n'))).rejects.toThrow(ConfigurationError);
  });

  it('never shows a password', async () => {
    const text = 'servers: {a: {connectionString: "postgres://me:hunter2@db1:port/x", password: hunter2}}';
    await expect(read(text)).rejects.toThrow(/^(?!.*hunter2)/s);
  });
});
