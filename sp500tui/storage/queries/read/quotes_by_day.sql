-- The number of minutes of regular sessions with a collected price of each symbol, from each session edge to the next
-- one, with the edge's number.
SELECT symbol, width_bucket(quote_time, %(edges)s::timestamptz[]), count(DISTINCT date_trunc('minute', quote_time))
FROM public.prices
WHERE market_state = 'REGULAR' AND symbol = ANY (%(symbols)s::text[])
  AND quote_time >= %(start)s AND quote_time < %(end)s
GROUP BY 1, 2
