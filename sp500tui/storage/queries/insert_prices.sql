-- One batch, one atomic statement. A row that is there already is left alone, so that sending twice is harmless.
INSERT INTO public.prices (
    symbol, quote_time, price, change, percent_change, currency, converted_price,
    converted_currency, fx_rate, fx_time, market_state, volume, fetched_at
)
SELECT * FROM unnest(
    %s::text[], %s::timestamptz[], %s::numeric[], %s::numeric[], %s::numeric[], %s::text[], %s::numeric[],
    %s::text[], %s::numeric[], %s::timestamptz[], %s::text[], %s::bigint[], %s::timestamptz[]
)
ON CONFLICT DO NOTHING
