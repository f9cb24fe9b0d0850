-- The symbols that have prices.
SELECT symbol FROM public.latest_prices ORDER BY symbol
