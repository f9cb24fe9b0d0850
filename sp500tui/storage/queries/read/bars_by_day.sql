-- How many bars of one resolution each symbol has from each edge of a session to the next one, with the number of the edge.
SELECT symbol, width_bucket(start_time, %(edges)s::timestamptz[]), count(*)
FROM public.bars
WHERE resolution = %(resolution)s AND symbol = ANY (%(symbols)s::text[])
  AND start_time >= %(start)s AND start_time < %(end)s
GROUP BY 1, 2
