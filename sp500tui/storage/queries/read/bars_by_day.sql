-- The number of bars of one resolution of each symbol from each session edge to the next one, with the edge's number.
SELECT symbol, width_bucket(start_time, %(edges)s::timestamptz[]), count(*)
FROM public.bars
WHERE resolution = %(resolution)s AND symbol = ANY (%(symbols)s::text[])
  AND start_time >= %(start)s AND start_time < %(end)s
GROUP BY 1, 2
