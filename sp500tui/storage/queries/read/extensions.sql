-- The extensions of this database that distribute (Citus) or partition (TimescaleDB) a table.
SELECT extname FROM pg_extension WHERE extname IN ('citus', 'timescaledb') ORDER BY extname
