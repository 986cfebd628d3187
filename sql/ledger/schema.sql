-- Makes a schema. Run only when it is missing: Postgres asks for CREATE on the database even when
-- "if not exists" has nothing to do. Takes no lock that others notice.
create schema if not exists :"schema";
