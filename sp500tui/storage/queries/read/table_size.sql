-- The table's size on disk with its key, and how many rows that would be by the server's last look at a sample.
SELECT pg_relation_size('public.prices'),
       pg_total_relation_size('public.prices'),
       CASE WHEN reltuples > 0 AND relpages > 0
            THEN (reltuples / relpages * pg_relation_size('public.prices') / current_setting('block_size')::bigint)::bigint
       END
FROM pg_class
WHERE oid = 'public.prices'::regclass
