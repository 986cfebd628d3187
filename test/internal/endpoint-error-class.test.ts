import pg from 'pg';
import { expect, test } from 'vitest';
import { AuthenticationError, ConfigurationError, ServerUnavailableError } from '../../src/errors.ts';
import { connectionError } from '../../src/internal/endpoint/connection-error.ts';
import { classifyError } from '../../src/internal/endpoint/error-class.ts';

const server = (code: string, severity = 'ERROR', more: object = {}): Error =>
  Object.assign(new pg.DatabaseError('told by the server', 1, 'error'), { code, severity, ...more });
const system = (code: string): Error => Object.assign(new Error(`connect ${code}`), { code });

test.each([
  ['gone', server('57P01', 'FATAL')],
  ['gone', server('57P02', 'FATAL')],
  ['gone', server('57P03', 'FATAL')],
  ['gone', server('57P05', 'FATAL')],
  ['gone', server('25P03', 'FATAL')],
  ['gone', server('40001', 'FATAL')],
  ['gone', server('08P01', 'FATAL')],
  ['gone', system('ECONNREFUSED')],
  ['gone', system('ECONNRESET')],
  ['gone', system('ETIMEDOUT')],
  ['gone', system('EAI_AGAIN')],
  ['gone', new Error('Connection terminated unexpectedly')],
  ['gone', new Error('Client has encountered a connection error and is not queryable')],
  ['gone', new Error('Query read timeout')],
  ['gone', new Error('timeout expired')],
  ['gone', new AggregateError([system('ECONNREFUSED'), system('EHOSTUNREACH')])],
  ['role', server('25006')],
  ['role', server('0A000', 'ERROR', { routine: 'check_transaction_read_only' })],
  ['other', server('0A000')],
  ['retry', server('40001')],
  ['retry', server('40P01')],
  ['retry', server('55P03')],
  ['retry', server('53300', 'FATAL')],
  ['config', server('28P01', 'FATAL')],
  ['config', server('28000', 'FATAL')],
  ['config', server('3D000', 'FATAL')],
  ['config', server('42P01')],
  ['config', server('22023')],
  ['config', system('ENOTFOUND')],
  ['config', system('SELF_SIGNED_CERT_IN_CHAIN')],
  ['config', new Error('The server does not support SSL connections')],
  ['other', server('23505')],
  ['other', server('57014')],
  ['other', new TypeError('a bug')],
  ['other', 'not an error'],
] as const)('%s: %s', (expected, error) => {
  expect(classifyError(error)).toBe(expected);
});

test('failures to connect become typed errors that keep their cause', () => {
  const wrong = server('28P01', 'FATAL');
  expect(connectionError(wrong, 'a:1/db')).toBeInstanceOf(AuthenticationError);
  expect(connectionError(wrong, 'a:1/db')).toMatchObject({ server: 'a:1/db', retryable: false, cause: wrong });
  expect(connectionError(server('3D000', 'FATAL'), 'a:1/db')).toBeInstanceOf(ConfigurationError);
  expect(connectionError(system('ECONNREFUSED'), 'a:1/db')).toBeInstanceOf(ServerUnavailableError);
  expect(connectionError(server('53300', 'FATAL'), 'a:1/db')).toMatchObject({ retryable: true });
});

test('a name never found is a mistake, one found before is an outage', () => {
  expect(connectionError(system('ENOTFOUND'), 'a:1/db')).toMatchObject({ retryable: false });
  expect(connectionError(system('ENOTFOUND'), 'a:1/db', { connectedBefore: true })).toMatchObject({ retryable: true });
});
