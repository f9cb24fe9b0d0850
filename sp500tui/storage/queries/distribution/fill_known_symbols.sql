-- The symbols of rows that were there before.
INSERT INTO public.known_symbols (symbol)
SELECT DISTINCT symbol FROM public.prices
ON CONFLICT DO NOTHING
