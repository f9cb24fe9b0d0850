-- One chunk per day, by quote_time. The primary key serves all queries, so no separate index on time is created.
SELECT @extschema@.create_hypertable(
    'public.prices', 'quote_time', chunk_time_interval => interval '1 day',
    create_default_indexes => false, if_not_exists => true, migrate_data => true
)
