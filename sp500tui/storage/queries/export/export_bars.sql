-- The bars that start in a time window.
SELECT symbol, resolution, start_time, open, high, low, close, volume, currency, source, fetched_at, stored_at
FROM public.bars
WHERE start_time >= %(start)s AND start_time < %(end)s
  AND (%(symbols)s::text[] IS NULL OR symbol = ANY (%(symbols)s::text[]))
  AND (%(resolution)s::text IS NULL OR resolution = %(resolution)s::text)
