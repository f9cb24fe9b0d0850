-- The tables that are hypertables already, and the view latest_prices if it is replaced already.
SELECT hypertable_name::text FROM timescaledb_information.hypertables WHERE hypertable_schema = 'public'
UNION ALL
SELECT 'latest_prices' WHERE pg_get_viewdef('public.latest_prices'::regclass) LIKE '%known_symbols%'
