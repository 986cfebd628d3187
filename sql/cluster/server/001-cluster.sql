-- The cluster module keeps its truth in the shards' own owner rows (hv_owner, made by core); this file only marks that
-- its functions are here. Takes no lock.
select 1;
