-- The newest row of each symbol. The recursion walks the key from symbol to symbol, so that it takes milliseconds
-- however many rows there are; DISTINCT ON would read them all.
CREATE OR REPLACE VIEW public.latest_prices AS
WITH RECURSIVE symbols AS (
    (SELECT symbol FROM public.prices ORDER BY symbol LIMIT 1)
    UNION ALL
    SELECT (SELECT symbol FROM public.prices WHERE symbol > symbols.symbol ORDER BY symbol LIMIT 1)
    FROM symbols
    WHERE symbols.symbol IS NOT NULL
)
SELECT newest.*
FROM symbols
CROSS JOIN LATERAL (
    SELECT *
    FROM public.prices
    WHERE symbol = symbols.symbol
    ORDER BY quote_time DESC
    LIMIT 1
) AS newest;
