-- Splits, dividends and distributed capital gains. A split of 4:1 has the numerator 4 and the denominator 1; the others have
-- an amount per share. The date is that at the exchange; effective_time is its beginning.
CREATE TABLE IF NOT EXISTS public.corporate_actions (
    symbol         text COLLATE "C" NOT NULL,
    effective_date date             NOT NULL,
    kind           text COLLATE "C" NOT NULL,
    numerator      numeric,
    denominator    numeric,
    amount         numeric,
    currency       text,
    effective_time timestamptz      NOT NULL,
    fetched_at     timestamptz      NOT NULL,
    stored_at      timestamptz      NOT NULL DEFAULT now(),
    PRIMARY KEY (symbol, effective_date, kind)
);
