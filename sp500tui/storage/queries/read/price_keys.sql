-- How many rows, and how many different keys, were stored since a time.
SELECT count(*), count(DISTINCT (symbol, quote_time)) FROM public.prices WHERE stored_at >= %(since)s
