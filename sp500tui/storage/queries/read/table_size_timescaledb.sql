-- The size of a hypertable of TimescaleDB, and its rows as estimated by the server.
SELECT size.table_bytes, size.total_bytes, nullif(@extschema@.approximate_row_count('public.prices'), 0)
FROM timescaledb_information.hypertables
CROSS JOIN LATERAL @extschema@.hypertable_detailed_size('public.prices') AS size
WHERE hypertable_schema = 'public' AND hypertable_name = 'prices'
