-- What a session of one symbol should hold and holds, and how often the source was asked for the rest. The resolution is
-- one of the bars, or `quotes` for the collected prices.
CREATE TABLE IF NOT EXISTS public.coverage (
    symbol       text COLLATE "C" NOT NULL,
    resolution   text COLLATE "C" NOT NULL,
    session_date date             NOT NULL,
    expected     integer          NOT NULL,
    present      integer          NOT NULL,
    state        text             NOT NULL,
    attempts     integer          NOT NULL DEFAULT 0,
    asked_at     timestamptz,
    checked_at   timestamptz      NOT NULL,
    PRIMARY KEY (symbol, resolution, session_date)
);
