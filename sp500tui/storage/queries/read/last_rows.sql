-- The newest rows of all symbols: each symbol's newest by the key, then the newest of them; no index on time is needed.
SELECT newest.symbol, newest.quote_time, newest.price, newest.change, newest.percent_change, newest.currency,
       newest.converted_price, newest.converted_currency, newest.fx_rate, newest.market_state, newest.volume,
       newest.fetched_at, newest.stored_at
FROM public.latest_prices AS listed
CROSS JOIN LATERAL (
    SELECT *
    FROM public.prices
    WHERE symbol = listed.symbol
    ORDER BY quote_time DESC
    LIMIT %(limit)s
) AS newest
ORDER BY newest.quote_time DESC, newest.symbol
LIMIT %(limit)s
