-- All memberships.
SELECT symbol, cik, valid_from, valid_to, source FROM public.memberships ORDER BY symbol, valid_from, source
