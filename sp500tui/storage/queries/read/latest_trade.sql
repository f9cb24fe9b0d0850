-- The number of symbols with a price, and the newest trade.
SELECT count(*), max(quote_time), max(stored_at) FROM public.latest_prices
