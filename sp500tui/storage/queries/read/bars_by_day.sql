-- How many bars of one resolution each symbol has from each opening to the next one, with the number of the opening.
SELECT symbol, width_bucket(start_time, %(openings)s::timestamptz[]), count(*)
FROM public.bars
WHERE resolution = %(resolution)s AND symbol = ANY (%(symbols)s::text[])
  AND start_time >= (%(openings)s::timestamptz[])[1] AND start_time < %(end)s
GROUP BY 1, 2
