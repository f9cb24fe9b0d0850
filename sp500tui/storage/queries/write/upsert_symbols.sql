-- The symbols whose prices are requested, in addition to earlier ones.
INSERT INTO public.known_symbols (symbol)
SELECT * FROM unnest(%(symbols)s::text[])
ON CONFLICT DO NOTHING
