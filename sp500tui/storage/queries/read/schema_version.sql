-- The newest applied schema migration.
SELECT max(version) FROM public.schema_version
