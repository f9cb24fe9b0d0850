-- The symbols that have prices, read from the key without reading every price.
SELECT symbol FROM public.latest_prices ORDER BY symbol
