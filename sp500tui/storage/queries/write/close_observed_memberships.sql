-- End the observed memberships of companies no longer on the list today, or on the day of the change if it is known. A
-- change before the membership belongs to an earlier one, or to another company with the same ticker.
UPDATE public.memberships
SET valid_to = coalesce(
    (
        SELECT max(gone.day)
        FROM unnest(%(removed)s::text[], %(removed_on)s::date[]) AS gone (symbol, day)
        WHERE gone.symbol = memberships.symbol
          AND gone.day BETWEEN memberships.valid_from AND %(today)s::date
    ),
    greatest(valid_from, %(today)s::date)
)
WHERE source = 'observed'
  AND valid_to IS NULL
  AND (symbol, cik) NOT IN (SELECT listed.* FROM unnest(%(symbol)s::text[], %(cik)s::text[]) AS listed)
