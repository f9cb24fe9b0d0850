-- The number of bars in the chunks of the hypertable, as of their last ANALYZE.
SELECT @extschema@.approximate_row_count('public.bars')
FROM timescaledb_information.hypertables
WHERE hypertable_schema = 'public' AND hypertable_name = 'bars'
