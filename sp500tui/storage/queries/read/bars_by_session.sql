-- The number of bars of a symbol from each of some times to the next one, with the number of that time, and how many of
-- them are not among those that the source lacks. The times are the edges of sessions.
SELECT width_bucket(start_time, $3::timestamptz[]), count(*), count(*) FILTER (WHERE start_time <> ALL ($4::timestamptz[]))
FROM public.bars
WHERE symbol = $1::text AND resolution = $2::text
  AND start_time >= ($3::timestamptz[])[1] AND start_time < ($3::timestamptz[])[cardinality($3::timestamptz[])]
GROUP BY 1
