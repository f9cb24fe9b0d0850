-- One symbol's prices since a time, thinned evenly to the requested number of points; the newest is kept.
SELECT quote_time, price, converted_price, volume, market_state
FROM (
    SELECT *,
           row_number() OVER (ORDER BY quote_time DESC) - 1 AS place,
           count(*) OVER () AS total
    FROM public.prices
    WHERE symbol = %(symbol)s AND quote_time >= %(since)s
) AS numbered
WHERE mod(place, greatest(1, ceil(total / %(points)s::numeric)::bigint)) = 0
ORDER BY quote_time
