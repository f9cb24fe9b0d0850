-- 15-minute bars from the 1-minute bars of one symbol, where the source has supplied none. Bars fetched after a split are
-- converted to the shares of the bar that was fetched first, whose fetched_at the longer bar has.
INSERT INTO public.bars (symbol, resolution, start_time, open, high, low, close, volume, currency, source, fetched_at)
WITH minutes AS (
    SELECT bars.*,
           to_timestamp(floor(extract(epoch FROM bars.start_time) / 900) * 900) AS quarter,
           coalesce(splits.denominator / splits.numerator, 1) AS factor
    FROM public.bars AS bars
    LEFT JOIN public.split_factors AS splits
        ON splits.symbol = bars.symbol
        AND (splits.after IS NULL OR splits.after <= greatest(bars.start_time, bars.fetched_at))
        AND splits.before > greatest(bars.start_time, bars.fetched_at)
    WHERE bars.symbol = %(symbol)s AND bars.resolution = '1m'
      AND bars.start_time >= %(start)s AND bars.start_time < %(end)s
), compared AS (
    SELECT *, first_value(factor) OVER (PARTITION BY quarter ORDER BY fetched_at, start_time) AS basis
    FROM minutes
), scaled AS (
    SELECT *, CASE WHEN factor = basis THEN 1 ELSE factor / basis END AS ratio
    FROM compared
)
SELECT symbol, '15m', quarter,
       (array_agg(open * ratio ORDER BY start_time))[1], max(high * ratio), min(low * ratio),
       (array_agg(close * ratio ORDER BY start_time DESC))[1],
       round(sum(volume / ratio))::bigint, (array_agg(currency ORDER BY start_time DESC))[1], 'bars', min(fetched_at)
FROM scaled
GROUP BY symbol, quarter
ON CONFLICT DO NOTHING
