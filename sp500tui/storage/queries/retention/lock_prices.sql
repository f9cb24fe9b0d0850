-- No price is stored until the end of the transaction; reading goes on.
LOCK TABLE public.prices IN SHARE ROW EXCLUSIVE MODE
