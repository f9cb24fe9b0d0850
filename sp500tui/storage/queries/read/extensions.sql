-- The extensions of this database that distribute (Citus) or partition (TimescaleDB) a table, and the schema of their
-- functions.
SELECT extname::text, quote_ident(nspname::text)
FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
WHERE extname IN ('citus', 'timescaledb')
ORDER BY extname
