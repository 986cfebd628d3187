-- Stores how far a source is applied on this server, in the caller's transaction, together with the changes.
-- Takes a row lock on the source's row: of two workers that both believe they are the only one, the second waits
-- and is then refused, for the place it started from is no longer the one stored (SV020).
create or replace function :"schema".import_store_position(
  _source uuid,
  _from numeric,
  _ordinal numeric,
  _position text,
  _gtid text,
  _source_time timestamptz,
  _changes bigint,
  _transactions bigint,
  _statements bigint
)
returns void
language plpgsql
as $$
begin
  update hypervault.import_position p
     set ordinal = _ordinal,
         position = _position,
         gtid = _gtid,
         source_time = coalesce(_source_time, p.source_time),
         changes = p.changes + _changes,
         transactions = p.transactions + _transactions,
         statements = p.statements + _statements,
         applied = clock_timestamp()
   where p.source = _source
     and p.ordinal = _from;
  if not found then
    raise exception 'another worker has moved the position of this source'
      using errcode = 'SV020',
            detail = (
              select json_build_object('ordinal', p.ordinal::text, 'position', p.position)
                from hypervault.import_position p
               where p.source = _source
            );
  end if;
end;
$$;
