-- The newest rows of all symbols. The recursion walks the key from symbol to symbol, so that no index on time is needed.
WITH RECURSIVE listed AS (
    (SELECT symbol FROM public.prices ORDER BY symbol LIMIT 1)
    UNION ALL
    SELECT (SELECT symbol FROM public.prices WHERE symbol > listed.symbol ORDER BY symbol LIMIT 1)
    FROM listed
    WHERE listed.symbol IS NOT NULL
)
SELECT newest.symbol, quote_time, price, change, percent_change, currency, converted_price, converted_currency,
       fx_rate, market_state, volume, fetched_at, stored_at
FROM listed
CROSS JOIN LATERAL (
    SELECT *
    FROM public.prices
    WHERE symbol = listed.symbol
    ORDER BY quote_time DESC
    LIMIT %(limit)s
) AS newest
ORDER BY quote_time DESC, newest.symbol
LIMIT %(limit)s
