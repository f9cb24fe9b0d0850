-- TimescaleDB: drop the chunks of prices that end before a time, whose rows have already been deleted.
SELECT @extschema@.drop_chunks('public.prices', older_than => %(cutoff)s::timestamptz)
