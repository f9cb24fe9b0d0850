-- Whether the tables exist.
SELECT to_regclass('public.known_symbols') IS NOT NULL
