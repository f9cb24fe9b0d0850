-- The sessions that were requested from the source, how often, and whether its answer was final.
SELECT symbol, session_date, attempts, asked_at, state = 'unanswered' AS final
FROM public.coverage
WHERE resolution = %(resolution)s AND symbol = ANY (%(symbols)s::text[]) AND attempts > 0
  AND session_date >= %(first)s AND session_date <= %(last)s
