-- The collected prices of one symbol, merged into periods as in candles_of_bars. A quote's volume counts the shares since the
-- opening, so those between two quotes are the difference; a smaller number belongs to the next session.
WITH traded AS (
    SELECT quote_time, price, volume, currency, fetched_at,
           volume - lag(volume) OVER (ORDER BY quote_time) AS difference
    FROM public.prices
    WHERE symbol = %(symbol)s AND quote_time >= %(start)s AND quote_time < %(end)s
      AND (market_state = 'REGULAR' OR NOT %(regular)s::boolean)
), parts AS (
    SELECT width_bucket(greatest(quote_time, fetched_at), %(splits)s::timestamptz[]) AS splits,
           min(quote_time) AS opened,
           max(quote_time) AS closed,
           max(price) AS high,
           min(price) AS low,
           sum(CASE WHEN difference < 0 THEN volume ELSE difference END) AS volume,
           max(currency) AS currency,
           count(*) AS number
    FROM traded
    GROUP BY splits,
             CASE WHEN %(unit)s::text = 'second'
                  THEN floor((extract(epoch FROM quote_time)::float8 - %(offset)s::float8) / %(seconds)s::float8)
             END,
             CASE WHEN %(unit)s::text <> 'second'
                  THEN date_trunc(%(unit)s::text, quote_time AT TIME ZONE %(zone)s::text)
             END
)
SELECT 'quotes', splits, opened, closed,
       (SELECT price FROM public.prices AS quote
        WHERE quote.symbol = %(symbol)s AND quote.quote_time = parts.opened),
       high,
       low,
       (SELECT price FROM public.prices AS quote
        WHERE quote.symbol = %(symbol)s AND quote.quote_time = parts.closed),
       volume, currency, number
FROM parts
ORDER BY opened
