-- The number of bars in the shards of the distributed table, as of their last ANALYZE.
SELECT (SELECT sum(greatest(result::double precision, 0))::bigint
        FROM run_command_on_shards('public.bars', 'SELECT reltuples FROM pg_class WHERE oid = ''%s''::regclass')
        WHERE success)
FROM pg_dist_partition
WHERE logicalrelid = 'public.bars'::regclass
