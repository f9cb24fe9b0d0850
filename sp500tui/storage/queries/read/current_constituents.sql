-- The number of current constituents.
SELECT count(*) FROM public.constituents WHERE last_seen = (SELECT max(last_seen) FROM public.constituents)
