-- The corporate actions that take effect in a time window.
SELECT symbol, effective_date, kind, numerator, denominator, amount, currency, effective_time, fetched_at, stored_at
FROM public.corporate_actions
WHERE effective_time >= %(start)s AND effective_time < %(end)s
  AND (%(symbols)s::text[] IS NULL OR symbol = ANY (%(symbols)s::text[]))
