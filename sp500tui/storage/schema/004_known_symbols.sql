-- Every symbol that prices were asked for. Where prices is spread over nodes, the view latest_prices begins here.
CREATE TABLE IF NOT EXISTS public.known_symbols (
    symbol text COLLATE "C" NOT NULL PRIMARY KEY
);
