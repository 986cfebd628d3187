-- Leases: who leads in a matter, until when by this server's clock, and in which term.
-- Rows stay when a lease ends, so that its epoch never goes back. Written only by the lease functions.
create table :"schema".leases (
  name text primary key
    check (name <> ''),
  holder text not null
    check (holder <> ''),
  epoch bigint not null
    check (epoch > 0),
  acquired timestamptz not null,
  expires timestamptz not null
);
