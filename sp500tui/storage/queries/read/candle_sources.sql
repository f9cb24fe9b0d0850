-- The time ranges of the bars of each resolution, and of the collected prices, of one symbol.
SELECT known.resolution, oldest.start_time, newest.start_time
FROM unnest(%(resolutions)s::text[]) AS known (resolution)
CROSS JOIN LATERAL (
    SELECT start_time
    FROM public.bars
    WHERE symbol = %(symbol)s AND resolution = known.resolution
    ORDER BY start_time
    LIMIT 1
) AS oldest
CROSS JOIN LATERAL (
    SELECT start_time
    FROM public.bars
    WHERE symbol = %(symbol)s AND resolution = known.resolution
    ORDER BY start_time DESC
    LIMIT 1
) AS newest
UNION ALL
SELECT 'quotes', oldest.quote_time, newest.quote_time
FROM (
    SELECT quote_time FROM public.prices WHERE symbol = %(symbol)s ORDER BY quote_time LIMIT 1
) AS oldest
CROSS JOIN (
    SELECT quote_time FROM public.prices WHERE symbol = %(symbol)s ORDER BY quote_time DESC LIMIT 1
) AS newest
