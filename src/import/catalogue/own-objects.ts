/** Our schema on every server and in the control database. */
export const OUR_SCHEMA = 'hypervault';

/** What the import has in {@link OUR_SCHEMA}, in an order in which it can be dropped. */
export interface OwnObjects {
  readonly tables: readonly string[];
  /** With the types of their parameters. */
  readonly functions: readonly string[];
}

const ON_CONTROL: OwnObjects = {
  tables: ['import_lost_view', 'import_log', 'import_statement', 'import_error', 'import_table', 'import_source'],
  functions: [
    'import_add_source(text, text, jsonb, jsonb)',
    'import_hold_shards(bigint, integer[])',
    'import_holders(integer)',
  ],
};

const ON_SERVERS: OwnObjects = {
  tables: [
    'import_prepared',
    'import_kept_key',
    'import_altered_value',
    'import_altered_column',
    'import_chunk',
    'import_structure',
    'import_position',
  ],
  functions: [
    'import_store_position(uuid, numeric, numeric, text, text, timestamptz, bigint, bigint, bigint)',
    'import_set_position(uuid, numeric, text, text)',
    'import_note_altered_values(uuid, jsonb)',
    'import_refuse_writes()',
  ],
};

/** By the folders of `sql/import/` that make them. The control database has both. */
export const OWN_OBJECTS = { control: ON_CONTROL, server: ON_SERVERS } as const;
