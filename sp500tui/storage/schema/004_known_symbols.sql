-- Every symbol whose prices were requested. With a distributed prices table, the view latest_prices reads from here.
CREATE TABLE IF NOT EXISTS public.known_symbols (
    symbol text COLLATE "C" NOT NULL PRIMARY KEY
);
