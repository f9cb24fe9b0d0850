-- One row per symbol and trade; the key makes repeated writes idempotent. Prices are numeric, exactly as the source prints them.
CREATE TABLE IF NOT EXISTS public.prices (
    symbol             text COLLATE "C" NOT NULL,
    quote_time         timestamptz      NOT NULL,
    price              numeric          NOT NULL,
    change             numeric,
    percent_change     numeric,
    currency           text             NOT NULL,
    converted_price    numeric,
    converted_currency text             NOT NULL,
    fx_rate            numeric,
    fx_time            timestamptz,
    market_state       text             NOT NULL,
    volume             bigint,
    fetched_at         timestamptz      NOT NULL,
    stored_at          timestamptz      NOT NULL DEFAULT now(),
    PRIMARY KEY (symbol, quote_time)
);
