-- The bars of a minute of one symbol that longer ones replace; in the transaction that has stored those.
DELETE FROM public.bars
WHERE symbol = %(symbol)s AND resolution = '1m' AND start_time >= %(start)s AND start_time < %(end)s
