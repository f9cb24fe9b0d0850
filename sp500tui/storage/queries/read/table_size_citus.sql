-- The size of a distributed table of Citus, and its rows as estimated by the nodes.
SELECT citus_relation_size(logicalrelid),
       citus_total_relation_size(logicalrelid),
       (SELECT nullif(sum(greatest(result::double precision, 0)), 0)::bigint
        FROM run_command_on_shards('public.prices', 'SELECT reltuples FROM pg_class WHERE oid = ''%s''::regclass')
        WHERE success)
FROM pg_dist_partition
WHERE logicalrelid = 'public.prices'::regclass
