-- One chunk per week, by the start of the bar. The primary key serves all queries, so no separate index on time is created.
SELECT @extschema@.create_hypertable(
    'public.bars', 'start_time', chunk_time_interval => interval '7 days',
    create_default_indexes => false, if_not_exists => true, migrate_data => true
)
