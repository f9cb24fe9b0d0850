-- The table's size on disk, without and with its key, and the number of rows estimated from the last ANALYZE.
SELECT pg_relation_size('public.prices'),
       pg_total_relation_size('public.prices'),
       CASE WHEN reltuples > 0 AND relpages > 0
            THEN (reltuples / relpages * pg_relation_size('public.prices') / current_setting('block_size')::bigint)::bigint
       END
FROM pg_class
WHERE oid = 'public.prices'::regclass
