-- How many bars of one resolution each day of each symbol has; a day is one of the exchange.
SELECT symbol, (start_time AT TIME ZONE %(market)s)::date, count(*)
FROM public.bars
WHERE resolution = %(resolution)s AND symbol = ANY (%(symbols)s::text[])
  AND start_time >= %(start)s AND start_time < %(end)s
GROUP BY 1, 2
