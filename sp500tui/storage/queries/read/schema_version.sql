-- The newest schema file applied.
SELECT max(version) FROM public.schema_version
