-- Add the symbols of existing rows.
INSERT INTO public.known_symbols (symbol)
SELECT DISTINCT symbol FROM public.prices
ON CONFLICT DO NOTHING
