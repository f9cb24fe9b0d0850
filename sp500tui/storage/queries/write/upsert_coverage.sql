-- The current coverage of sessions; `requests` is the number of requests made for each of them.
INSERT INTO public.coverage (
    symbol, resolution, session_date, expected, present, state, attempts, asked_at, checked_at
)
SELECT symbol, $7::text, session_date, expected, present, state, requests,
       CASE WHEN requests > 0 THEN $8::timestamptz END, $8::timestamptz
FROM unnest($1::text[], $2::date[], $3::integer[], $4::integer[], $5::text[], $6::integer[])
AS listed (symbol, session_date, expected, present, state, requests)
ON CONFLICT (symbol, resolution, session_date) DO UPDATE SET
    expected = excluded.expected,
    present = excluded.present,
    state = excluded.state,
    attempts = coverage.attempts + excluded.attempts,
    asked_at = coalesce(excluded.asked_at, coverage.asked_at),
    checked_at = excluded.checked_at
