-- The sessions that the source was asked for, and how often.
SELECT symbol, session_date, attempts, asked_at
FROM public.coverage
WHERE resolution = %(resolution)s AND symbol = ANY (%(symbols)s::text[]) AND attempts > 0
  AND session_date >= %(first)s AND session_date <= %(last)s
