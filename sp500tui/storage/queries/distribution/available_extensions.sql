-- Citus and TimescaleDB, where the server has them: the version in this database, NULL where it is not created here.
SELECT name::text, installed_version::text
FROM pg_available_extensions
WHERE name IN ('citus', 'timescaledb')
