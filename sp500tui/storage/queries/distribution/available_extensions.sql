-- Citus and TimescaleDB, where the server has them: the version in this database and the schema of their functions, NULL
-- where they are not created here.
SELECT name::text, installed_version::text, quote_ident(nspname::text)
FROM pg_available_extensions
LEFT JOIN pg_extension ON extname = name
LEFT JOIN pg_namespace ON pg_namespace.oid = extnamespace
WHERE name IN ('citus', 'timescaledb')
