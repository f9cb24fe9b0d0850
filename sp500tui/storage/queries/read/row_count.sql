-- How many rows the table holds, counted one by one.
SELECT count(*) FROM public.prices
