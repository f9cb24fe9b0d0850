-- One symbol's newest rows.
SELECT symbol, quote_time, price, change, percent_change, currency, converted_price, converted_currency,
       fx_rate, market_state, volume, fetched_at, stored_at
FROM public.prices
WHERE symbol = %(symbol)s
ORDER BY quote_time DESC
LIMIT %(limit)s
