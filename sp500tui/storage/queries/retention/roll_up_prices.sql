-- 1-minute bars from the collected prices of one symbol, where the source has supplied none. Prices have the volume of the
-- day so far, not that of a minute.
INSERT INTO public.bars (symbol, resolution, start_time, open, high, low, close, volume, currency, source, fetched_at)
SELECT symbol, '1m', date_trunc('minute', quote_time), (array_agg(price ORDER BY quote_time))[1], max(price), min(price),
       (array_agg(price ORDER BY quote_time DESC))[1], NULL, (array_agg(currency ORDER BY quote_time DESC))[1], 'prices',
       min(fetched_at)
FROM public.prices
WHERE symbol = %(symbol)s AND quote_time >= %(start)s AND quote_time < %(end)s
GROUP BY symbol, date_trunc('minute', quote_time)
ON CONFLICT DO NOTHING
