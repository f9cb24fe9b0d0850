-- Corporate actions; existing rows are left unchanged.
INSERT INTO public.corporate_actions (
    symbol, effective_date, kind, numerator, denominator, amount, currency, effective_time, fetched_at
)
SELECT * FROM unnest(
    %(symbol)s::text[], %(effective_date)s::date[], %(kind)s::text[], %(numerator)s::numeric[],
    %(denominator)s::numeric[], %(amount)s::numeric[], %(currency)s::text[], %(effective_time)s::timestamptz[],
    %(fetched_at)s::timestamptz[]
)
ON CONFLICT DO NOTHING
