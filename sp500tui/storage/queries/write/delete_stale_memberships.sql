-- Memberships of a source that its latest list no longer has.
DELETE FROM public.memberships
WHERE source = %(source)s
  AND (symbol, cik, valid_from) NOT IN (
      SELECT listed.* FROM unnest(%(symbol)s::text[], %(cik)s::text[], %(valid_from)s::date[]) AS listed
  )
