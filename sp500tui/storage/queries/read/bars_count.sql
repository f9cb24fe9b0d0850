-- How many bars there are, counted one by one.
SELECT count(*) FROM public.bars
