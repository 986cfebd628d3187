import { quoteIdentifier } from '../../internal/quote.ts';
import { SQLSTATE, sqlStateOf } from '../../internal/sqlstate.ts';
import type { SourceConfig } from '../config/source-config.ts';
import type { EngineContext } from './context.ts';

/** Lets the roles of grant_select_to into the target schemas, and at tables that come later. A missing role is a warning. */
export async function grantSchemas(context: EngineContext, config: SourceConfig): Promise<void> {
  if (config.grantSelectTo.length === 0 || config.routing !== null) return;
  const server = config.server ?? context.config.topology.control;
  await context.servers.with(server, async (client) => {
    for (const schema of Object.values(config.schemaMappings)) {
      const quoted = quoteIdentifier(schema);
      await client.query(`create schema if not exists ${quoted}`);
      for (const role of config.grantSelectTo) {
        try {
          await client.query(`grant usage on schema ${quoted} to ${quoteIdentifier(role)}`);
          await client.query(
            `alter default privileges in schema ${quoted} grant select on tables to ${quoteIdentifier(role)}`,
          );
        } catch (error) {
          if (sqlStateOf(error) !== SQLSTATE.undefinedObject) throw error;
          context.log.warn(`${config.name}: grant_select_to names the role ${role}, which is not there`);
        }
      }
    }
  });
}
