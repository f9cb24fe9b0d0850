-- The number of bars as of the last ANALYZE; -1 before the first, 0 or -1 where they are in shards or chunks.
SELECT reltuples::bigint FROM pg_class WHERE oid = 'public.bars'::regclass
