-- Four roles, so that nobody who works with shards is a superuser (Postgres 16 or newer). Run once by a superuser in every
-- database that holds shards or the control data:
--
--   psql -v owner=hv_owner -v migrator=hv_migrator -v mover=hv_mover -v app=hv_app -v database=app -f roles.sql
--
-- and give migrator, mover and app passwords: servers reach each other by the mover's.
--
-- owner: owns all schemas, logs in nowhere. migrator: hypervault init, migrate. mover: hypervault move, janitor, fsck.
-- app: the programs; what it may do in shards it gets by hypervault init --grant-to.
-- Takes no lock. Fails when a role is there already.
create role :"owner" nologin;

create role :"migrator" login in role :"owner";

-- What the migrator makes belongs to the owner.
alter role :"migrator" set role to :"owner";

-- REPLICATION: slots, and the senders of its subscriptions. Membership: fences, locks, publications on the owner's tables;
-- rows arrive as the owner. Statistics: how far a copy is, and whether a transaction is old.
create role :"mover" login replication in role :"owner", pg_create_subscription, pg_read_all_stats;

create role :"app" login;

grant connect, create on database :"database" to :"owner";

grant connect on database :"database" to :"migrator", :"mover", :"app";
