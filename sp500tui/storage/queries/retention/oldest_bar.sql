-- The start of a symbol's oldest 1-minute bar.
SELECT start_time FROM public.bars WHERE symbol = %(symbol)s AND resolution = '1m' ORDER BY start_time LIMIT 1
