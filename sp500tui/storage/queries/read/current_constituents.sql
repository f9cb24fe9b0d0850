-- The companies of the newest list.
SELECT count(*) FROM public.constituents WHERE last_seen = (SELECT max(last_seen) FROM public.constituents)
