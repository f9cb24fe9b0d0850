-- One row per symbol, resolution and start; the key makes repeated writes idempotent. Prices are adjusted for the splits up
-- to fetched_at, as the source gives them, and never rewritten: the view adjusted_bars applies later splits.
CREATE TABLE IF NOT EXISTS public.bars (
    symbol     text COLLATE "C" NOT NULL,
    resolution text COLLATE "C" NOT NULL,
    start_time timestamptz      NOT NULL,
    open       numeric          NOT NULL,
    high       numeric          NOT NULL,
    low        numeric          NOT NULL,
    close      numeric          NOT NULL,
    volume     bigint,
    currency   text,
    source     text             NOT NULL,
    fetched_at timestamptz      NOT NULL,
    stored_at  timestamptz      NOT NULL DEFAULT now(),
    PRIMARY KEY (symbol, resolution, start_time)
);
