-- How many symbols have a price, and the newest trade. The recursion walks the key from symbol to symbol.
WITH RECURSIVE listed AS (
    (SELECT symbol FROM public.prices ORDER BY symbol LIMIT 1)
    UNION ALL
    SELECT (SELECT symbol FROM public.prices WHERE symbol > listed.symbol ORDER BY symbol LIMIT 1)
    FROM listed
    WHERE listed.symbol IS NOT NULL
)
SELECT count(*), max(newest.quote_time), max(newest.stored_at)
FROM listed
CROSS JOIN LATERAL (
    SELECT quote_time, stored_at
    FROM public.prices
    WHERE symbol = listed.symbol
    ORDER BY quote_time DESC
    LIMIT 1
) AS newest
