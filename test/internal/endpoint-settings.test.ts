import { expect, test } from 'vitest';
import { ConfigurationError } from '../../src/errors.ts';
import { Endpoint } from '../../src/internal/endpoint/endpoint.ts';
import { parseHost } from '../../src/internal/endpoint/hosts.ts';
import { resolveSettings } from '../../src/internal/endpoint/resolve.ts';

test.each([
  ['db1', 'db1', 5432],
  ['db1:5433', 'db1', 5433],
  ['10.0.0.1:5433', '10.0.0.1', 5433],
  ['[fe80::1]:5433', 'fe80::1', 5433],
  ['[::1]', '::1', 5432],
  ['fe80::1', 'fe80::1', 5432],
  ['/run/postgresql', '/run/postgresql', 5432],
  ['/run/postgresql:5433', '/run/postgresql', 5433],
])('the host %s is read', (text, host, port) => {
  expect(parseHost(text, 5432)).toMatchObject({ host, port });
});

test.each(['', ':5432', 'a:', 'a:0', 'a:70000', 'a:x', 'a,b', 'a b', 'user@a'])('the host %j is refused', (text) => {
  expect(() => parseHost(text, 5432)).toThrow(ConfigurationError);
});

test('a connection string may name several hosts and the role, as in libpq', () => {
  const settings = resolveSettings({
    connectionString: 'postgres://me:secret@a:1111,b:2222,c/db?target_session_attrs=prefer-standby&application_name=x',
  });
  expect(settings.hosts.map((host) => host.label)).toEqual(['a:1111', 'b:2222', 'c:5432']);
  expect(settings).toMatchObject({ targetRole: 'prefer-standby', label: 'a:1111,b:2222,c:5432/db' });
  expect(settings.client).toMatchObject({ user: 'me', password: 'secret', application_name: 'x' });
});

test('other fields win over the connection string', () => {
  const settings = resolveSettings({ connectionString: 'postgres://me@a:1111,b/db', host: 'other', database: 'mine' });
  expect(settings.label).toBe('other:1111/mine');
  expect(settings.targetRole).toBe('any');
});

test('several hosts mean the primary', () => {
  expect(resolveSettings({ hosts: ['a', 'b'] }).targetRole).toBe('primary');
});

test('a TLS object is handed on itself', () => {
  const ssl = { key: 'k', servername: 'x' };
  expect(resolveSettings({ host: 'a', ssl }).client.ssl).toBe(ssl);
});

test.each([
  [{ hosts: [] }, /empty/],
  [{ hosts: ['a', 'a:5432'] }, /named twice/],
  [{ hosts: ['a'], host: 'b' }, /both given/],
  [{ port: 0 }, /port/],
  [{ connectTimeoutMs: -1 }, /connectTimeoutMs/],
  [{ targetRole: 'master' as 'primary' }, /targetRole: master/],
  [{ connectionString: 'postgres://u:hush@a/db?target_session_attrs=best' }, /target_session_attrs=best/],
  [{ connectionString: 'hush' }, /not a Postgres URL/],
  [{ connectionString: 'postgres://u:hush@[a/db' }, /not a Postgres URL/],
])('%o is refused before anything starts, without a secret', (settings, message) => {
  expect(() => new Endpoint(settings)).toThrow(ConfigurationError);
  expect(() => new Endpoint(settings)).toThrow(message);
  expect(() => new Endpoint(settings)).not.toThrow(/hush/);
});

test('the label holds neither user nor password', () => {
  const endpoint = new Endpoint({ connectionString: 'postgres://me:hush@a:1,b:2/db' });
  expect(endpoint.label).toBe('a:1,b:2/db');
});
