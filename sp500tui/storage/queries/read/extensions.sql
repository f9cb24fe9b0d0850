-- The extensions of this database that spread a table: over nodes (Citus), or over time (TimescaleDB).
SELECT extname FROM pg_extension WHERE extname IN ('citus', 'timescaledb') ORDER BY extname
