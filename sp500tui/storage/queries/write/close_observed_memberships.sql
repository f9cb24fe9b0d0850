-- The observed memberships of companies that the list no longer has end today, or on the day of the change if it is known.
UPDATE public.memberships
SET valid_to = greatest(
    valid_from,
    coalesce(
        (
            SELECT max(gone.day)
            FROM unnest(%(removed)s::text[], %(removed_on)s::date[]) AS gone (symbol, day)
            WHERE gone.symbol = memberships.symbol AND gone.day <= %(today)s::date
        ),
        %(today)s::date
    )
)
WHERE source = 'observed'
  AND valid_to IS NULL
  AND (symbol, cik) NOT IN (SELECT listed.* FROM unnest(%(symbol)s::text[], %(cik)s::text[]) AS listed)
