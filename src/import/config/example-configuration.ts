/** A configuration of a MySQL source to begin with; every key that is commented out shows its default. */
export const EXAMPLE_CONFIGURATION = `# hypervault import … --config this-file
# The keys are pg_chameleon's and a few more; docs/import.md says what each means.

# Where rows go. With hypervault.yaml instead, name servers and shards there and put what follows under "import".
pg_conn: { host: localhost, port: 5432, user: postgres, password: '\${PG_PASSWORD}', database: postgres }

# log_level: info            # debug, info, warning, error
# log_days_keep: 10
# rollbar_key:               # Rollbar hears of it when both are set
# rollbar_env:
# webhook_url:

# type_override:
#   tinyint(1): { override_to: boolean, override_tables: ['*'] }

sources:
  mysql:
    type: mysql
    db_conn: { host: localhost, port: 3306, user: replica, password: '\${MYSQL_PASSWORD}' }
    schema_mappings: { my_database: my_schema }
    # limit_tables: [my_database.orders]
    # skip_tables: [my_database.sessions]
    # grant_select_to: [reader]
    # gtid_enable: no          # go on by GTID on another server of the source
    # keep_existing_schema: no # put rows into tables that are there
    # copy_workers: 2
    # copy_max_memory: 300M
    # sleep_loop: 1            # seconds between heartbeats
    # replay_max_rows: 10000
    # on_error_replay: continue
    # auto_maintenance: disabled
    # value_policy: { date: null }
    # shard_by: { orders: customer_id }
    # reference_tables: [countries]
`;
