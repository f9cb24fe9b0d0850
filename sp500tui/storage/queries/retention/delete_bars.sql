-- Delete one symbol's 1-minute bars that longer ones replace, in the transaction that has stored the latter.
DELETE FROM public.bars
WHERE symbol = %(symbol)s AND resolution = '1m' AND start_time >= %(start)s AND start_time < %(end)s
