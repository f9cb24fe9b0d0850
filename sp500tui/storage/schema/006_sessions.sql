-- The trading sessions as the source names them, half days included. The market is the time zone of its exchange; the date
-- is that at the exchange.
CREATE TABLE IF NOT EXISTS public.sessions (
    market       text COLLATE "C" NOT NULL,
    session_date date             NOT NULL,
    kind         text COLLATE "C" NOT NULL,
    start_time   timestamptz      NOT NULL,
    end_time     timestamptz      NOT NULL,
    fetched_at   timestamptz      NOT NULL,
    PRIMARY KEY (market, session_date, kind)
);
