-- In how many minutes of each day's regular session a price of each symbol was collected.
SELECT symbol, (quote_time AT TIME ZONE %(market)s)::date, count(DISTINCT date_trunc('minute', quote_time))
FROM public.prices
WHERE market_state = 'REGULAR' AND symbol = ANY (%(symbols)s::text[])
  AND quote_time >= %(start)s AND quote_time < %(end)s
GROUP BY 1, 2
