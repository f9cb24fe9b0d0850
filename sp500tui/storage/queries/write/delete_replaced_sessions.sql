-- Delete sessions that the source now states with another start: two of one market and kind never overlap.
DELETE FROM public.sessions
USING unnest(
    %(market)s::text[], %(kind)s::text[], %(start_time)s::timestamptz[], %(end_time)s::timestamptz[]
) AS listed (market, kind, start_time, end_time)
WHERE sessions.market = listed.market
  AND sessions.kind = listed.kind
  AND sessions.start_time < listed.end_time
  AND sessions.end_time > listed.start_time
  AND NOT EXISTS (
      SELECT 1
      FROM unnest(%(market)s::text[], %(kind)s::text[], %(start_time)s::timestamptz[]) AS kept (market, kind, start_time)
      WHERE kept.market = sessions.market AND kept.kind = sessions.kind AND kept.start_time = sessions.start_time
  )
