-- Delete memberships of a source that are not in its latest list.
DELETE FROM public.memberships
WHERE source = %(source)s
  AND (symbol, cik, valid_from) NOT IN (
      SELECT listed.* FROM unnest(%(symbol)s::text[], %(cik)s::text[], %(valid_from)s::date[]) AS listed
  )
