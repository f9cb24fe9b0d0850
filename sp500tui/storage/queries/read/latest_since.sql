-- The latest row of each symbol among those stored since a time.
SELECT symbol, price, change, percent_change, currency, quote_time, market_state, volume, fetched_at,
       converted_price, converted_currency, fx_rate, fx_time, stored_at
FROM public.latest_prices
WHERE stored_at >= %(since)s
