-- The regular sessions of a market that start in a time window.
SELECT session_date, start_time, end_time
FROM public.sessions
WHERE market = %(market)s AND kind = 'REGULAR' AND start_time >= %(start)s AND start_time < %(end)s
ORDER BY start_time
