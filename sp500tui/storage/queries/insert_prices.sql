-- One batch, one atomic statement. A row that is there already is left alone, so that sending twice is harmless.
INSERT INTO public.prices (
    symbol, quote_time, price, change, percent_change, currency, converted_price,
    converted_currency, fx_rate, fx_time, market_state, volume, fetched_at
)
SELECT * FROM unnest(
    $1::text[], $2::timestamptz[], $3::numeric[], $4::numeric[], $5::numeric[], $6::text[], $7::numeric[],
    $8::text[], $9::numeric[], $10::timestamptz[], $11::text[], $12::bigint[], $13::timestamptz[]
)
ON CONFLICT DO NOTHING
