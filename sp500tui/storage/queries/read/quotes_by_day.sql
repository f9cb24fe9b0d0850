-- In how many minutes of regular sessions a price of each symbol was collected, from each opening to the next one, with
-- the number of the opening.
SELECT symbol, width_bucket(quote_time, %(openings)s::timestamptz[]), count(DISTINCT date_trunc('minute', quote_time))
FROM public.prices
WHERE market_state = 'REGULAR' AND symbol = ANY (%(symbols)s::text[])
  AND quote_time >= (%(openings)s::timestamptz[])[1] AND quote_time < %(end)s
GROUP BY 1, 2
