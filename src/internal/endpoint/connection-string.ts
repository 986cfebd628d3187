import type { ClientConfig } from 'pg';
import { parseIntoClientConfig } from 'pg-connection-string';
import { ConfigurationError } from '../../errors.ts';
import type { TargetRole } from './settings.ts';

/** What a connection string says: node-postgres' own fields, and the hosts it can't read. */
export interface ParsedConnectionString {
  readonly config: ClientConfig;
  readonly hosts: readonly string[] | undefined;
  readonly targetRole: TargetRole | undefined;
}

/** libpq's words for the role, and ours. `read-write` is a primary: looking at the session's default alone accepts standbys. */
const ROLE_OF_SESSION_ATTRS: Readonly<Record<string, TargetRole>> = {
  any: 'any',
  primary: 'primary',
  'read-write': 'primary',
  standby: 'standby',
  'read-only': 'standby',
  'prefer-standby': 'prefer-standby',
};

/**
 * Reads a connection string, also one with several hosts, which neither URL nor node-postgres can:
 * the list is taken out, the rest is node-postgres' own parser.
 */
export function parseConnectionString(text: string): ParsedConnectionString {
  const list = /^(postgres(?:ql)?:\/\/(?:[^@/?#]*@)?)([^/?#@]*,[^/?#@]*)(.*)$/s.exec(text);
  const single = list ? `${list[1]}${list[2]!.split(',')[0]}${list[3]}` : text;
  let config: ClientConfig & { target_session_attrs?: string };
  try {
    // The parser takes any text for a path; without a scheme it would connect to a host called "base".
    if (!/^(postgres(ql)?|socket):|^\//.test(single)) throw new Error('no scheme');
    config = parseIntoClientConfig(single) as ClientConfig;
  } catch {
    // The parser's own error may quote the text, and with it the password.
    throw new ConfigurationError(
      'connectionString: not a Postgres URL; write postgres://user:password@host:port/database',
    );
  }
  const { target_session_attrs: attrs, ...rest } = config;
  const targetRole = attrs === undefined ? undefined : ROLE_OF_SESSION_ATTRS[attrs];
  if (attrs !== undefined && targetRole === undefined) {
    const known = Object.keys(ROLE_OF_SESSION_ATTRS).join(', ');
    throw new ConfigurationError(`connectionString: target_session_attrs=${attrs} is not one of ${known}`);
  }
  return { config: rest, hosts: list ? list[2]!.split(',') : undefined, targetRole };
}
