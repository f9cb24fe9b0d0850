-- Every constituent ever seen; those whose last_seen is not the maximum have left the index.
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
