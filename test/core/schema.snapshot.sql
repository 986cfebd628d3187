-- schema hypervault

create table hypervault.ledger (
  module text not null
  scope text not null
  kind text not null
  name text not null
  hash text not null
  release integer not null
  package text
  source text
  applied timestamp with time zone not null default clock_timestamp()
  constraint ledger_check CHECK (((kind = ANY (ARRAY['migration'::text, 'function'::text, 'view'::text])) AND (hash ~ '^[0-9a-f]{64}$'::text) AND (release > 0)))
  constraint ledger_pkey PRIMARY KEY (module, scope, kind, name)
);
create table hypervault.settings (
  only_row boolean not null default true
  epoch bigint not null
  slots integer
  first_shard integer
  prefix text not null
  installed timestamp with time zone not null default clock_timestamp()
  constraint settings_check CHECK (((slots IS NULL) = (first_shard IS NULL)))
  constraint settings_check1 CHECK (((first_shard + slots) <= 8192))
  constraint settings_epoch_check CHECK (((epoch >= 0) AND (epoch <= '4398046511104'::bigint)))
  constraint settings_first_shard_check CHECK (((first_shard >= 0) AND (first_shard <= 8191)))
  constraint settings_only_row_check CHECK (only_row)
  constraint settings_pkey PRIMARY KEY (only_row)
  constraint settings_prefix_check CHECK ((prefix ~ '^[a-z_][a-z0-9_]{0,50}$'::text))
  constraint settings_slots_check CHECK (((slots >= 1) AND (slots <= 8192)))
);
CREATE UNIQUE INDEX ledger_pkey ON hypervault.ledger USING btree (module, scope, kind, name);
CREATE UNIQUE INDEX settings_pkey ON hypervault.settings USING btree (only_row);
create function hypervault.clock_ms() returns bigint language sql;
create function hypervault.describe() returns record language sql stable;
create function hypervault.epoch_ms() returns bigint language sql immutable;
create function hypervault.fix_routing(integer,integer) returns void language plpgsql;
create function hypervault.next_id(regclass,integer) returns bigint language plpgsql;
create function hypervault.next_id_behind(regclass,integer) returns bigint language plpgsql security definer set search_path=pg_catalog, pg_temp;
create function hypervault.next_id_unusual(regclass,integer,bigint) returns bigint language plpgsql;
create function hypervault.next_ids(regclass,integer,integer) returns SETOF bigint language plpgsql;
create function hypervault.owners() returns TABLE(shard integer, server text, epoch bigint) language plpgsql stable security definer set search_path=pg_catalog, pg_temp;
create function hypervault.shard_for(text) returns integer language sql stable;
create function hypervault.take_over_entities(text) returns void language plpgsql;
create function hypervault.take_over_ids(text,integer) returns void language plpgsql;

-- schema shard0005

create table shard0005.entities (
  id bigint not null default shard0005.next_id()
  type smallint not null
  body hstore not null
  updated timestamp with time zone default now()
  constraint entities_pkey PRIMARY KEY (id)
);
create table shard0005.hv_ledger (
  module text not null
  scope text not null
  kind text not null
  name text not null
  hash text not null
  release integer not null
  package text
  source text
  applied timestamp with time zone not null default clock_timestamp()
  constraint hv_ledger_check CHECK (((kind = ANY (ARRAY['migration'::text, 'function'::text, 'view'::text])) AND (hash ~ '^[0-9a-f]{64}$'::text) AND (release > 0)))
  constraint hv_ledger_pkey PRIMARY KEY (module, scope, kind, name)
);
create table shard0005.hv_owner (
  only_row boolean not null default true
  server text
  epoch bigint not null default 0
  since timestamp with time zone not null default clock_timestamp()
  constraint hv_owner_epoch_check CHECK ((epoch >= 0))
  constraint hv_owner_only_row_check CHECK (only_row)
  constraint hv_owner_pkey PRIMARY KEY (only_row)
  constraint hv_owner_server_check CHECK ((server <> ''::text))
);
CREATE UNIQUE INDEX entities_pkey ON shard0005.entities USING btree (id);
CREATE UNIQUE INDEX hv_ledger_pkey ON shard0005.hv_ledger USING btree (module, scope, kind, name);
CREATE UNIQUE INDEX hv_owner_pkey ON shard0005.hv_owner USING btree (only_row);
create sequence shard0005.table_id_seq as bigint minvalue 1 maxvalue 9223372036854775807 increment 1 cache 1;
create function shard0005.next_id() returns bigint language sql;
create function shard0005.next_ids(integer) returns SETOF bigint language sql;
