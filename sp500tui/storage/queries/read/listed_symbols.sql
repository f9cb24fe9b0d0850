-- The symbols of the current constituents.
SELECT symbol FROM public.constituents WHERE last_seen = (SELECT max(last_seen) FROM public.constituents) ORDER BY symbol
