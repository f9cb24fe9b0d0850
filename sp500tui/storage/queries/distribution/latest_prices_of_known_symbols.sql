-- The newest row of each symbol, by a join along the distribution column that every node of Citus answers by itself: it
-- takes neither a recursion over a distributed table nor a lateral LIMIT that begins at a reference table. With TimescaleDB
-- each symbol's search begins at the newest chunk and ends where it finds a row; the recursion would look into every chunk
-- for every symbol.
CREATE OR REPLACE VIEW public.latest_prices AS
SELECT newest.*
FROM public.known_symbols AS known
CROSS JOIN LATERAL (
    SELECT *
    FROM public.prices
    WHERE symbol = known.symbol
    ORDER BY quote_time DESC
    LIMIT 1
) AS newest
