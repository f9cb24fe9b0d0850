-- Delete one symbol's prices that bars replace, in the transaction that has stored the bars.
DELETE FROM public.prices WHERE symbol = %(symbol)s AND quote_time >= %(start)s AND quote_time < %(end)s
