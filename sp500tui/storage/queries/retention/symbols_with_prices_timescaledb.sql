-- The symbols that have prices before a time, from the chunks before it: latest_prices has only the known symbols.
SELECT DISTINCT symbol FROM public.prices WHERE quote_time < %(cutoff)s ORDER BY symbol
