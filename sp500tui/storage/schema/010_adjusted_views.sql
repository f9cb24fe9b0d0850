-- Bars and prices in today's shares: what was fetched before a split is multiplied by the split's factor. The numerators are
-- multiplied by way of their logarithms and rounded to six decimals, which is exact; SQL has no product. Dividends are not
-- applied.
CREATE OR REPLACE VIEW public.adjusted_bars AS
SELECT bars.symbol,
       bars.resolution,
       bars.start_time,
       CASE WHEN splits.symbol IS NULL THEN bars.open ELSE bars.open * splits.denominator / splits.numerator END AS open,
       CASE WHEN splits.symbol IS NULL THEN bars.high ELSE bars.high * splits.denominator / splits.numerator END AS high,
       CASE WHEN splits.symbol IS NULL THEN bars.low ELSE bars.low * splits.denominator / splits.numerator END AS low,
       CASE WHEN splits.symbol IS NULL THEN bars.close ELSE bars.close * splits.denominator / splits.numerator END AS close,
       CASE WHEN splits.symbol IS NULL THEN bars.volume
            ELSE round(bars.volume * splits.numerator / splits.denominator)::bigint
       END AS volume,
       bars.currency,
       bars.source,
       bars.fetched_at,
       coalesce(splits.denominator / splits.numerator, 1) AS factor
FROM public.bars AS bars
LEFT JOIN LATERAL (
    SELECT actions.symbol,
           round(exp(sum(ln(actions.numerator))), 6) AS numerator,
           round(exp(sum(ln(actions.denominator))), 6) AS denominator
    FROM public.corporate_actions AS actions
    WHERE actions.symbol = bars.symbol
      AND actions.kind = 'split'
      AND actions.numerator > 0
      AND actions.denominator > 0
      AND actions.effective_time > bars.start_time
      AND actions.effective_time > bars.fetched_at
    GROUP BY actions.symbol
) AS splits ON true;

CREATE OR REPLACE VIEW public.adjusted_prices AS
SELECT prices.symbol,
       prices.quote_time,
       CASE WHEN splits.symbol IS NULL THEN prices.price ELSE prices.price * splits.denominator / splits.numerator END AS price,
       CASE WHEN splits.symbol IS NULL THEN prices.change ELSE prices.change * splits.denominator / splits.numerator END AS change,
       prices.percent_change,
       prices.currency,
       CASE WHEN splits.symbol IS NULL THEN prices.converted_price
            ELSE prices.converted_price * splits.denominator / splits.numerator
       END AS converted_price,
       prices.converted_currency,
       prices.market_state,
       CASE WHEN splits.symbol IS NULL THEN prices.volume
            ELSE round(prices.volume * splits.numerator / splits.denominator)::bigint
       END AS volume,
       prices.fetched_at,
       coalesce(splits.denominator / splits.numerator, 1) AS factor
FROM public.prices AS prices
LEFT JOIN LATERAL (
    SELECT actions.symbol,
           round(exp(sum(ln(actions.numerator))), 6) AS numerator,
           round(exp(sum(ln(actions.denominator))), 6) AS denominator
    FROM public.corporate_actions AS actions
    WHERE actions.symbol = prices.symbol
      AND actions.kind = 'split'
      AND actions.numerator > 0
      AND actions.denominator > 0
      AND actions.effective_time > prices.quote_time
      AND actions.effective_time > prices.fetched_at
    GROUP BY actions.symbol
) AS splits ON true;
