-- A piece a day, by the time of the trade. The key serves all questions, so no index on time alone is made.
SELECT create_hypertable(
    'public.prices', 'quote_time', chunk_time_interval => interval '1 day',
    create_default_indexes => false, if_not_exists => true, migrate_data => true
)
