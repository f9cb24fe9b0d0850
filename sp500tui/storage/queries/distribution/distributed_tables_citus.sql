-- The tables that are already distributed, and the view latest_prices if it has already been replaced.
SELECT relname::text
FROM pg_dist_partition JOIN pg_class ON oid = logicalrelid
WHERE relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'latest_prices' WHERE pg_get_viewdef('public.latest_prices'::regclass) LIKE '%known_symbols%'
