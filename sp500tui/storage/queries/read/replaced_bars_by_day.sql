-- The number of 1-minute bars of each symbol that were replaced by longer ones, from each session edge to the next one,
-- with the edge's number. A longer bar of the source replaces bars only before `replaced_before`.
SELECT symbol, width_bucket(start_time, %(edges)s::timestamptz[]), 15 * count(*)
FROM public.bars AS longer
WHERE resolution = '15m' AND (source = 'bars' OR start_time < %(replaced_before)s::timestamptz)
  AND symbol = ANY (%(symbols)s::text[]) AND start_time >= %(start)s AND start_time < %(end)s
  AND NOT EXISTS (
      SELECT FROM public.bars AS minute
      WHERE minute.symbol = longer.symbol AND minute.resolution = '1m'
        AND minute.start_time >= longer.start_time AND minute.start_time < longer.start_time + interval '15 minutes'
  )
GROUP BY 1, 2
