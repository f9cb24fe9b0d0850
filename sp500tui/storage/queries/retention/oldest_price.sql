-- The time of a symbol's oldest price.
SELECT quote_time FROM public.prices WHERE symbol = %(symbol)s ORDER BY quote_time LIMIT 1
