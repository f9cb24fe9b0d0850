-- The numbers of rows and of distinct keys stored since a time.
SELECT count(*), count(DISTINCT (symbol, quote_time)) FROM public.prices WHERE stored_at >= %(since)s
