-- One batch in one atomic statement. Existing rows are left unchanged, so that a batch can be sent again.
-- In the select list the arrays are expanded together row by row; in FROM each would first be copied as a whole.
INSERT INTO public.prices (
    symbol, quote_time, price, change, percent_change, currency, converted_price,
    converted_currency, fx_rate, fx_time, market_state, volume, fetched_at
)
SELECT
    unnest($1::text[]), unnest($2::timestamptz[]), unnest($3::numeric[]), unnest($4::numeric[]),
    unnest($5::numeric[]), unnest($6::text[]), unnest($7::numeric[]), unnest($8::text[]), unnest($9::numeric[]),
    unnest($10::timestamptz[]), unnest($11::text[]), unnest($12::bigint[]), unnest($13::timestamptz[])
ON CONFLICT DO NOTHING
