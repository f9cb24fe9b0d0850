-- Begin today the membership of each company on the list that has no open observed one.
INSERT INTO public.memberships (symbol, cik, valid_from, valid_to, source)
SELECT listed.symbol, listed.cik, %(today)s::date, NULL, 'observed'
FROM unnest(%(symbol)s::text[], %(cik)s::text[]) AS listed (symbol, cik)
WHERE NOT EXISTS (
    SELECT FROM public.memberships AS known
    WHERE known.symbol = listed.symbol
      AND known.cik = listed.cik
      AND known.source = 'observed'
      AND known.valid_to IS NULL
)
ON CONFLICT (symbol, cik, source, valid_from) DO UPDATE SET valid_to = NULL
