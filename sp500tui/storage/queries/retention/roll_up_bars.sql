-- Bars of a quarter of an hour from the bars of a minute of one symbol, where the source has given none.
INSERT INTO public.bars (symbol, resolution, start_time, open, high, low, close, volume, currency, source, fetched_at)
SELECT symbol, '15m', to_timestamp(floor(extract(epoch FROM start_time) / 900) * 900),
       (array_agg(open ORDER BY start_time))[1], max(high), min(low), (array_agg(close ORDER BY start_time DESC))[1],
       sum(volume)::bigint, (array_agg(currency ORDER BY start_time DESC))[1], 'bars', min(fetched_at)
FROM public.bars
WHERE symbol = %(symbol)s AND resolution = '1m' AND start_time >= %(start)s AND start_time < %(end)s
GROUP BY symbol, to_timestamp(floor(extract(epoch FROM start_time) / 900) * 900)
ON CONFLICT DO NOTHING
