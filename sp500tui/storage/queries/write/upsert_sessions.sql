-- The trading sessions as currently stated by the source.
INSERT INTO public.sessions (market, session_date, kind, start_time, end_time, fetched_at)
SELECT listed.*, %(fetched_at)s::timestamptz
FROM unnest(
    %(market)s::text[], %(session_date)s::date[], %(kind)s::text[], %(start_time)s::timestamptz[],
    %(end_time)s::timestamptz[]
) AS listed
ON CONFLICT (market, kind, start_time) DO UPDATE SET
    session_date = excluded.session_date,
    end_time = excluded.end_time,
    fetched_at = excluded.fetched_at
