-- Whether there are prices before a time.
SELECT EXISTS (SELECT FROM public.prices WHERE quote_time < %(cutoff)s)
