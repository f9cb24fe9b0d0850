-- The exact number of rows.
SELECT count(*) FROM public.prices
