-- Whether the tables have been made.
SELECT to_regclass('public.known_symbols') IS NOT NULL
