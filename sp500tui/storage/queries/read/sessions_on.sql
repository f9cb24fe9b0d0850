-- The regular sessions of a date, of every market.
SELECT market, start_time, end_time
FROM public.sessions
WHERE session_date = %(day)s::date AND kind = 'REGULAR'
ORDER BY market, start_time
