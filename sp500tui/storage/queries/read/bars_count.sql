-- The exact number of bars.
SELECT count(*) FROM public.bars
