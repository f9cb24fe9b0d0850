-- What is cut into pieces by time already.
SELECT hypertable_name::text FROM timescaledb_information.hypertables WHERE hypertable_schema = 'public'
