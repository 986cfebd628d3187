import type { Client } from 'pg';
import { HypervaultError } from '../../errors.ts';
import { destroyClient } from '../../internal/client-guard.ts';
import { Endpoint } from '../../internal/endpoint/endpoint.ts';
import { openSession } from '../../internal/endpoint/session.ts';
import type { ConnectionSettings } from '../../internal/endpoint/settings.ts';
import { isConnectionLoss, SQLSTATE, sqlStateOf } from '../../internal/sqlstate.ts';
import { VALUE_SETTINGS } from '../apply/session-settings.ts';
import { BinlogPurgedError, SourceUnavailableError } from '../errors.ts';

/** Names come out qualified, and nothing is found by luck. */
const NO_SEARCH_PATH = `select pg_catalog.set_config('search_path', '', false)`;
/** A policy that hides rows is an error, not a table that looks smaller than it is. */
const ALL_ROWS = 'set row_security = off';

/** The Postgres server that rows come from: gives sessions in which every value has the same text. */
export class SourceServer {
  readonly label: string;
  readonly #endpoint: Endpoint;

  constructor(settings: ConnectionSettings) {
    this.#endpoint = new Endpoint({ applicationName: 'pg-hypervault import', targetRole: 'primary', ...settings });
    this.label = this.#endpoint.label;
  }

  async connect({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<Client> {
    try {
      return await prepared(await this.#endpoint.connect({ signal }));
    } catch (error) {
      throw explain(error, this.label);
    }
  }

  /** A session that can create slots and stream changes; its statements go by the simple protocol only. */
  async connectForReplication({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<Client> {
    try {
      const host = await this.#endpoint.locate(signal);
      const { settings } = this.#endpoint;
      const client = { ...settings.client, replication: 'database' } as typeof settings.client;
      return await prepared(await openSession({ ...settings, client }, host, { signal }));
    } catch (error) {
      throw explain(error, this.label);
    }
  }

  async close(): Promise<void> {
    await this.#endpoint.close();
  }
}

async function prepared(client: Client): Promise<Client> {
  try {
    await client.query(`${VALUE_SETTINGS}; ${NO_SEARCH_PATH}; ${ALL_ROWS}`);
    return client;
  } catch (error) {
    destroyClient(client);
    throw error;
  }
}

/** Says what a failure of the source means: gone for now, or the changes are gone for good. */
export function explain(error: unknown, label: string): unknown {
  if (error instanceof HypervaultError) {
    return error.retryable ? new SourceUnavailableError(error.message, { cause: error }) : error;
  }
  const state = sqlStateOf(error);
  const message = error instanceof Error ? error.message : String(error);
  // The walsender of a killed process lives on until it notices
  if (state === SLOT_IN_USE || state?.startsWith('53') || isConnectionLoss(error)) {
    return new SourceUnavailableError(`${label}: ${message}`, { cause: error });
  }
  if ((state === SQLSTATE.undefinedObject && /slot/.test(message)) || /can no longer (get|access)/.test(message)) {
    return new BinlogPurgedError(`${label}: ${message}; the changes since then are lost: run init-replica again`, {
      cause: error,
    });
  }
  return error;
}

const SLOT_IN_USE = '55006';
