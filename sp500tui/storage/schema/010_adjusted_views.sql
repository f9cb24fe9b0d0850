-- The product of all splits of a symbol that take effect after a moment, for every moment between two splits: from `after`,
-- without a limit if it is NULL, to before `before`. The factors are multiplied by way of their logarithms and rounded to six
-- decimals, which is exact; SQL has no product.
CREATE OR REPLACE VIEW public.split_factors AS
SELECT actions.symbol,
       lag(actions.effective_time) OVER earlier AS after,
       actions.effective_time AS before,
       round(exp(sum(ln(actions.numerator)) OVER later), 6) AS numerator,
       round(exp(sum(ln(actions.denominator)) OVER later), 6) AS denominator
FROM public.corporate_actions AS actions
WHERE actions.kind = 'split'
  AND actions.numerator > 0
  AND actions.denominator > 0
WINDOW earlier AS (PARTITION BY actions.symbol ORDER BY actions.effective_time, actions.effective_date),
       later AS (
           PARTITION BY actions.symbol
           ORDER BY actions.effective_time DESC, actions.effective_date DESC
           ROWS UNBOUNDED PRECEDING
       );

-- Bars and prices in today's shares: what was fetched before a split is multiplied by the split's factor. Dividends are not
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
LEFT JOIN public.split_factors AS splits
    ON splits.symbol = bars.symbol
    AND (splits.after IS NULL OR splits.after <= greatest(bars.start_time, bars.fetched_at))
    AND splits.before > greatest(bars.start_time, bars.fetched_at);

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
LEFT JOIN public.split_factors AS splits
    ON splits.symbol = prices.symbol
    AND (splits.after IS NULL OR splits.after <= greatest(prices.quote_time, prices.fetched_at))
    AND splits.before > greatest(prices.quote_time, prices.fetched_at);
