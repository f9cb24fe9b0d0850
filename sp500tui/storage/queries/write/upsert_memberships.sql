-- The memberships of a source; existing rows get the end that it now states.
INSERT INTO public.memberships (symbol, cik, valid_from, valid_to, source)
SELECT listed.*, %(source)s::text
FROM unnest(
    %(symbol)s::text[], %(cik)s::text[], %(valid_from)s::date[], %(valid_to)s::date[]
) AS listed
ON CONFLICT (symbol, cik, source, valid_from) DO UPDATE SET valid_to = excluded.valid_to
