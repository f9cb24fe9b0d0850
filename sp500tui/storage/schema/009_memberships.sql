-- The periods for which a company was in the index, as one source states them; valid_to is the first day on which it was not,
-- NULL while it is. A renamed ticker has a row for each symbol with the same CIK.
CREATE TABLE IF NOT EXISTS public.memberships (
    symbol     text COLLATE "C" NOT NULL,
    cik        text COLLATE "C" NOT NULL,
    valid_from date             NOT NULL,
    valid_to   date,
    source     text COLLATE "C" NOT NULL,
    PRIMARY KEY (symbol, cik, source, valid_from)
);
