-- The bars of one symbol, merged into longer periods: one row for each period, resolution and number of splits before the
-- bars were fetched. Opens and closes are looked up by their key, which costs less than sorting all bars.
WITH parts AS (
    SELECT resolution,
           width_bucket(greatest(start_time, fetched_at), %(splits)s::timestamptz[]) AS splits,
           min(start_time) AS opened,
           max(start_time) AS closed,
           max(high) AS high,
           min(low) AS low,
           sum(volume) AS volume,
           max(currency) AS currency,
           count(*) AS number
    FROM public.bars
    WHERE symbol = %(symbol)s AND resolution = ANY (%(resolutions)s::text[])
      AND start_time >= %(start)s AND start_time < %(end)s
    GROUP BY resolution,
             splits,
             CASE WHEN %(unit)s::text = 'second'
                  THEN floor((extract(epoch FROM start_time)::float8 - %(offset)s::float8) / %(seconds)s::float8)
             END,
             CASE WHEN %(unit)s::text <> 'second'
                  THEN date_trunc(%(unit)s::text, start_time AT TIME ZONE %(zone)s::text)
             END
)
SELECT resolution, splits, opened, closed,
       (SELECT open FROM public.bars AS bar
        WHERE bar.symbol = %(symbol)s AND bar.resolution = parts.resolution AND bar.start_time = parts.opened),
       high,
       low,
       (SELECT close FROM public.bars AS bar
        WHERE bar.symbol = %(symbol)s AND bar.resolution = parts.resolution AND bar.start_time = parts.closed),
       volume, currency, number
FROM parts
ORDER BY opened
