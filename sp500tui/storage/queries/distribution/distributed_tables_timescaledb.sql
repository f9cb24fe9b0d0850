-- The tables that are hypertables already.
SELECT hypertable_name::text FROM timescaledb_information.hypertables WHERE hypertable_schema = 'public'
