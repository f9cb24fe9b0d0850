-- The starts of the stored bars of one symbol and resolution.
SELECT start_time
FROM public.bars
WHERE symbol = %(symbol)s AND resolution = %(resolution)s AND start_time >= %(start)s AND start_time < %(end)s
