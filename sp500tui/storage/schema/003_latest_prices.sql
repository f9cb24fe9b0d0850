-- The newest row of each symbol. Both keys descend so that the primary key, read backwards, serves the order.
CREATE OR REPLACE VIEW public.latest_prices AS
SELECT DISTINCT ON (symbol) *
FROM public.prices
ORDER BY symbol DESC, quote_time DESC;
