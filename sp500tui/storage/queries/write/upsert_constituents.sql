-- The current constituents; existing rows keep their first_seen.
INSERT INTO public.constituents (
    symbol, cik, name, sector, sub_industry, headquarters, founded, date_added, first_seen, last_seen
)
SELECT listed.*, %(seen_at)s::timestamptz, %(seen_at)s::timestamptz
FROM unnest(
    %(symbol)s::text[], %(cik)s::text[], %(name)s::text[], %(sector)s::text[], %(sub_industry)s::text[],
    %(headquarters)s::text[], %(founded)s::text[], %(date_added)s::date[]
) AS listed
ON CONFLICT (symbol, cik) DO UPDATE SET
    name = excluded.name,
    sector = excluded.sector,
    sub_industry = excluded.sub_industry,
    headquarters = excluded.headquarters,
    founded = excluded.founded,
    date_added = excluded.date_added,
    last_seen = excluded.last_seen
