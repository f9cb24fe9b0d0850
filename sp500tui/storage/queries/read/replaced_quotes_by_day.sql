-- The number of minutes in which collected prices of each symbol were replaced by bars, from each session edge to the
-- next one, with the edge's number. A bar of the source replaces prices only before `replaced_before`.
SELECT symbol, width_bucket(start_time, %(edges)s::timestamptz[]), sum(CASE resolution WHEN '15m' THEN 15 ELSE 1 END)::bigint
FROM public.bars
WHERE (
    resolution = '1m' AND (source = 'prices' OR start_time < %(replaced_before)s::timestamptz)
    OR resolution = '15m' AND source = 'bars'
)
  AND symbol = ANY (%(symbols)s::text[]) AND start_time >= %(start)s AND start_time < %(end)s
GROUP BY 1, 2
