// Listeners of three makes behind one shape, each with its documented way to catch up after a lost connection.
import pg from 'pg';
import { NotificationHub } from 'pg-hypervault/listen';
import pgListenModule from 'pg-listen';
import postgres from 'postgres';

export interface Login {
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export interface ListenerOptions {
  /** `host:port`, the primary first. */
  readonly hosts: readonly string[];
  readonly login: Login;
  readonly channel: string;
  readonly onPayload: (payload: string) => void;
  /** Called where the library says that there may be a gap. */
  readonly onGap: () => void;
}

export type StartListener = (options: ListenerOptions) => Promise<{ stop(): Promise<void> }>;

/** Shown in `pg_stat_activity`, so that a fault can meet each of them. */
export const APPLICATION = 'bench-listener';

const ours: StartListener = async ({ hosts, login, channel, onPayload, onGap }) => {
  const hub = new NotificationHub({ hosts, ...login, applicationName: APPLICATION });
  await hub.subscribe(channel, ({ payload }) => onPayload(payload), { onCatchUp: onGap }).ready();
  return { stop: () => hub.close() };
};

// Its types describe an ES module; what Node loads is the function itself.
const createSubscriber = pgListenModule as unknown as typeof pgListenModule.default;

const pgListen: StartListener = async ({ hosts, login, channel, onPayload, onGap }) => {
  const [host, port] = hosts[0]!.split(':');
  const subscriber = createSubscriber(
    { host: host!, port: Number(port), ...login, application_name: APPLICATION },
    { parse: (text) => text },
  );
  subscriber.events.on('error', () => void subscriber.close());
  subscriber.events.on('connected', onGap);
  subscriber.notifications.on(channel, onPayload);
  await subscriber.connect();
  await subscriber.listenTo(channel);
  return { stop: () => subscriber.close() };
};

const postgresJs =
  (hostsOf: (hosts: readonly string[]) => readonly string[]): StartListener =>
  async ({ hosts, login, channel, onPayload, onGap }) => {
    const places = hostsOf(hosts).map((place) => place.split(':'));
    const sql = postgres({
      // A list works, though its types know one only.
      host: places.map(([host]) => host!) as unknown as string,
      port: places.map(([, port]) => Number(port)) as unknown as number,
      user: login.user,
      password: login.password,
      database: login.database,
      connection: { application_name: APPLICATION },
      ...(places.length > 1 && { target_session_attrs: 'primary' as const }),
      onnotice: () => {},
    });
    await sql.listen(channel, onPayload, onGap);
    return { stop: () => sql.end({ timeout: 1 }) };
  };

const rawPg: StartListener = async ({ hosts, login, channel, onPayload }) => {
  const [host, port] = hosts[0]!.split(':');
  const client = new pg.Client({ host, port: Number(port), ...login, application_name: APPLICATION });
  client.on('error', () => {});
  client.on('notification', ({ payload = '' }) => onPayload(payload));
  await client.connect();
  await client.query(`listen ${client.escapeIdentifier(channel)}`);
  return { stop: () => client.end() };
};

export const LISTENERS: Readonly<Record<string, StartListener>> = {
  ours,
  'pg-listen': pgListen,
  'postgres.js': postgresJs((hosts) => hosts.slice(0, 1)),
  'postgres.js, all hosts': postgresJs((hosts) => hosts),
  pg: rawPg,
};
