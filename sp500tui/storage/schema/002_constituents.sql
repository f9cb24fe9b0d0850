-- Every company ever seen in the index; last_seen older than the newest one's means it has left.
CREATE TABLE IF NOT EXISTS public.constituents (
    symbol       text COLLATE "C" NOT NULL,
    cik          text             NOT NULL,
    name         text             NOT NULL,
    sector       text             NOT NULL,
    sub_industry text             NOT NULL,
    headquarters text             NOT NULL,
    founded      text             NOT NULL,
    date_added   date,
    first_seen   timestamptz      NOT NULL,
    last_seen    timestamptz      NOT NULL,
    PRIMARY KEY (symbol, cik)
);
