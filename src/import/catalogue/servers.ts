import type { Client } from 'pg';
import { ConfigurationError } from '../../errors.ts';
import { endClient } from '../../internal/client-guard.ts';
import { Endpoint } from '../../internal/endpoint/endpoint.ts';
import type { Topology } from '../config/topology.ts';
import type { Fence } from './fence.ts';
import { type CatalogueScope, explainMissingParts } from './missing-parts.ts';

/** The Postgres servers of a topology: gives sessions by the server's name. */
export class Servers {
  #endpoints = new Map<string, Endpoint>();
  #fence: Fence | undefined;
  readonly control: string;

  readonly #hasCatalogue: boolean;

  /** @param options.hasCatalogue - whether the import keeps what it knows there, and so may miss some of it */
  constructor(
    { servers, control }: Pick<Topology, 'servers' | 'control'>,
    { hasCatalogue = true }: { hasCatalogue?: boolean } = {},
  ) {
    this.#hasCatalogue = hasCatalogue;
    this.control = control;
    for (const [name, settings] of servers) {
      this.#endpoints.set(name, new Endpoint({ applicationName: 'pg-hypervault import', ...settings }));
    }
  }

  get names(): readonly string[] {
    return [...this.#endpoints.keys()];
  }

  endpoint(name: string): Endpoint {
    const endpoint = this.#endpoints.get(name);
    if (endpoint !== undefined) return endpoint;
    throw new ConfigurationError(`there is no server ${JSON.stringify(name)}; known: ${this.names.join(', ')}`);
  }

  /** The same servers, for who has the right to work on a source: sessions of those who had it before are ended. */
  behind(fence: Fence): Servers {
    const servers = new Servers({ servers: new Map(), control: this.control }, { hasCatalogue: this.#hasCatalogue });
    servers.#endpoints = this.#endpoints;
    servers.#fence = fence;
    return servers;
  }

  /** A session of its own; the caller ends it with {@link endClient}. */
  async connect(name: string, options: { signal?: AbortSignal | undefined; waitMs?: number } = {}): Promise<Client> {
    const client = await this.endpoint(name).connect(options);
    try {
      await this.#fence?.enter(name, client, options.signal);
      return client;
    } catch (error) {
      await endClient(client);
      throw error;
    }
  }

  /** What the import has on a server. */
  scopesOf(name: string): readonly CatalogueScope[] {
    return name === this.control ? ['server', 'control'] : ['server'];
  }

  /** The error that says what is wrong with the catalogue when that is why a statement failed, else the same one. */
  async explain(name: string, error: unknown): Promise<unknown> {
    if (!this.#hasCatalogue) return error;
    return explainMissingParts(error, name, this.scopesOf(name), async (look) => {
      const client = await this.connect(name);
      try {
        return await look(client);
      } finally {
        await endClient(client);
      }
    });
  }

  /**
   * Lends a session for some work.
   * @throws SchemaError when the catalogue is missing, or lacks what the work needs
   */
  async with<Result>(
    name: string,
    work: (client: Client) => Promise<Result>,
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<Result> {
    const client = await this.connect(name, options);
    try {
      return await work(client);
    } catch (error) {
      throw await this.explain(name, error);
    } finally {
      await endClient(client);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#endpoints.values()].map((endpoint) => endpoint.close()));
  }
}

/** Runs work in a transaction and rolls it back when it throws. */
export async function inTransaction<Result>(client: Client, work: () => Promise<Result>): Promise<Result> {
  await client.query('begin');
  try {
    const result = await work();
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(() => {});
    throw error;
  }
}
