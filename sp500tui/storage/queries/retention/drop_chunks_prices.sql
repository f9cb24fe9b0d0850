-- TimescaleDB: remove the chunks of prices that lie wholly before a time, whose rows have been deleted already.
SELECT @extschema@.drop_chunks('public.prices', older_than => %(cutoff)s::timestamptz)
