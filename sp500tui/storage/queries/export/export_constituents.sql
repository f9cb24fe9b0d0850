-- The constituents seen in a time window.
SELECT symbol, cik, name, sector, sub_industry, headquarters, founded, date_added, first_seen, last_seen
FROM public.constituents
WHERE last_seen >= %(start)s AND first_seen < %(end)s
  AND (%(symbols)s::text[] IS NULL OR symbol = ANY (%(symbols)s::text[]))
