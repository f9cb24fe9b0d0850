-- The symbols that prices are asked for, beside those of earlier lists.
INSERT INTO public.known_symbols (symbol)
SELECT * FROM unnest(%(symbols)s::text[])
ON CONFLICT DO NOTHING
