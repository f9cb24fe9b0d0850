-- One batch of bars in one atomic statement; existing ones are left unchanged, as in insert_prices.
INSERT INTO public.bars (symbol, resolution, start_time, open, high, low, close, volume, currency, source, fetched_at)
SELECT
    unnest($1::text[]), unnest($2::text[]), unnest($3::timestamptz[]), unnest($4::numeric[]), unnest($5::numeric[]),
    unnest($6::numeric[]), unnest($7::numeric[]), unnest($8::bigint[]), unnest($9::text[]), unnest($10::text[]),
    unnest($11::timestamptz[])
ON CONFLICT DO NOTHING
