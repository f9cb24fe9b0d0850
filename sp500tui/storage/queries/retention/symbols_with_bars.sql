-- The symbols that have 1-minute bars.
SELECT DISTINCT symbol FROM public.bars WHERE resolution = '1m' AND start_time < %(cutoff)s ORDER BY symbol
