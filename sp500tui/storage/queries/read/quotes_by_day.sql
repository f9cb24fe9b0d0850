-- In how many minutes of regular sessions a price of each symbol was collected, from each edge of a session to the next
-- one, with the number of the edge.
SELECT symbol, width_bucket(quote_time, %(edges)s::timestamptz[]), count(DISTINCT date_trunc('minute', quote_time))
FROM public.prices
WHERE market_state = 'REGULAR' AND symbol = ANY (%(symbols)s::text[])
  AND quote_time >= %(start)s AND quote_time < %(end)s
GROUP BY 1, 2
