-- The coverage of the sessions of the latest dates, at one resolution.
SELECT symbol, session_date, expected, present, state, attempts, asked_at
FROM public.coverage
WHERE resolution = %(resolution)s
  AND session_date >= (
      SELECT min(latest.session_date)
      FROM (
          SELECT DISTINCT session_date
          FROM public.coverage
          WHERE resolution = %(resolution)s
          ORDER BY session_date DESC
          LIMIT %(days)s
      ) AS latest
  )
ORDER BY symbol, session_date
