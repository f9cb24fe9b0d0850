-- When the tables were created.
SELECT min(applied_at) FROM public.schema_version
