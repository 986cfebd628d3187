// TLS to a real server, with a certificate made by openssl: the settings must reach node:tls as they were given.
import { execFile } from 'node:child_process';
import { chown, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Embedded } from '../../src/embedded/index.ts';
import { serverUser } from '../../src/embedded/server-user.ts';
import { ConfigurationError } from '../../src/errors.ts';
import { Endpoint } from '../../src/internal/endpoint/endpoint.ts';
import type { ConnectionSettings } from '../../src/internal/endpoint/settings.ts';
import { ownServers } from '../support/own-server.ts';
import { findTool } from '../support/tools.ts';
import { rejection } from '../support/wait-for.ts';

const openssl = findTool('openssl');
const run = promisify(execFile);
const SECURE = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()';

let folder: string;
let embedded: Embedded;
let ca: string;
let clientCertificate: { cert: string; key: string };

beforeAll(async () => {
  if (openssl === undefined) return;
  folder = await mkdtemp(join(tmpdir(), 'hypervault-tls-'));
  const make = async (name: string, subject: string): Promise<{ cert: string; key: string }> => {
    const files = ['-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.crt`)];
    const names = ['-subj', `/CN=${subject}`, '-addext', 'subjectAltName=DNS:localhost'];
    await run(openssl, ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...files, ...names]);
    return {
      cert: await readFile(join(folder, `${name}.crt`), 'utf8'),
      key: await readFile(join(folder, `${name}.key`), 'utf8'),
    };
  };
  ca = (await make('server', 'localhost')).cert;
  clientCertificate = await make('client', 'postgres');
  const user = await serverUser();
  const owned = [folder, join(folder, 'server.key'), join(folder, 'server.crt'), join(folder, 'client.crt')];
  if (user) await Promise.all(owned.map((path) => chown(path, user.uid, user.gid)));
  embedded = await ownServers({
    keep: true,
    settings: {
      ssl: 'on',
      ssl_cert_file: join(folder, 'server.crt'),
      ssl_key_file: join(folder, 'server.key'),
      ssl_ca_file: join(folder, 'client.crt'),
    },
  });
});

afterAll(async () => {
  if (openssl === undefined) return;
  await embedded.stop();
  await rm(folder, { recursive: true, force: true });
});

function endpointTo(settings: ConnectionSettings): Endpoint {
  const endpoint = new Endpoint({ ...embedded.connections[0]!, ...settings });
  onTestFinished(() => endpoint.close());
  return endpoint;
}

test.skipIf(openssl === undefined)('a certificate is checked against the authority that was given', async () => {
  const client = await endpointTo({ host: 'localhost', ssl: { ca } }).connect();
  expect((await client.query(SECURE)).rows).toEqual([{ ssl: true }]);
  await client.end();
});

test.skipIf(openssl === undefined)('also through a pool, and with several hosts', async () => {
  const { port } = embedded.servers[0]!;
  const settings = { host: undefined, hosts: ['127.0.0.1:1', `localhost:${port}`], ssl: { ca } };
  const pool = endpointTo(settings).createPool();
  expect((await pool.query(SECURE)).rows).toEqual([{ ssl: true }]);
});

test.skipIf(openssl === undefined)(
  'an unknown authority, or another name, is refused and not tried again',
  async () => {
    const stranger = await rejection(endpointTo({ host: 'localhost', ssl: true }).connect({ waitMs: 5_000 }));
    expect(stranger).toBeInstanceOf(ConfigurationError);
    const misnamed = await rejection(endpointTo({ host: '127.0.0.1', ssl: { ca } }).connect({ waitMs: 5_000 }));
    expect(misnamed).toMatchObject({ code: 'CONFIGURATION', cause: { code: 'ERR_TLS_CERT_ALTNAME_INVALID' } });
  },
);

test.skipIf(openssl === undefined)("a client's key is used, and used again for the next session", async () => {
  const ssl = { ca, ...clientCertificate };
  const endpoint = endpointTo({ host: 'localhost', ssl });
  for (let session = 0; session < 2; session += 1) {
    const client = await endpoint.connect();
    const { rows } = await client.query('select client_dn from pg_stat_ssl where pid = pg_backend_pid()');
    expect(rows).toEqual([{ client_dn: '/CN=postgres' }]);
    await client.end();
  }
});

test.skipIf(openssl === undefined)('a server without TLS is refused when TLS is asked for', async () => {
  const plain = await ownServers();
  const endpoint = new Endpoint({ ...plain.connections[0]!, ssl: { ca } });
  expect(await rejection(endpoint.connect({ waitMs: 5_000 }))).toBeInstanceOf(ConfigurationError);
});
