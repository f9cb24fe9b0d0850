-- The corporate actions of one symbol since a time.
SELECT kind, effective_date, effective_time, numerator, denominator, amount, currency
FROM public.corporate_actions
WHERE symbol = %(symbol)s AND effective_time >= %(start)s
ORDER BY effective_time, kind
