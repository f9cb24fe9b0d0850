-- The collected prices of a time window.
SELECT symbol, quote_time, price, change, percent_change, currency, converted_price, converted_currency, fx_rate, fx_time,
       market_state, volume, fetched_at, stored_at
FROM public.prices
WHERE quote_time >= %(start)s AND quote_time < %(end)s
  AND (%(symbols)s::text[] IS NULL OR symbol = ANY (%(symbols)s::text[]))
