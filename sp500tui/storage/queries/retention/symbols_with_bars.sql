-- The symbols that have bars of a minute.
SELECT DISTINCT symbol FROM public.bars WHERE resolution = '1m' AND start_time < %(cutoff)s ORDER BY symbol
