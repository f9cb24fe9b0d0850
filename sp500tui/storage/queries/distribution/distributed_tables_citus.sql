-- What is spread over nodes already, and whether the view of the newest prices can be asked of them.
SELECT relname::text
FROM pg_dist_partition JOIN pg_class ON oid = logicalrelid
WHERE relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'latest_prices' WHERE pg_get_viewdef('public.latest_prices'::regclass) LIKE '%known_symbols%'
