-- Whether the user may write to the tables.
SELECT has_table_privilege('public.prices', 'INSERT') AND has_table_privilege('public.prices', 'SELECT')
   AND has_table_privilege('public.constituents', 'INSERT') AND has_table_privilege('public.constituents', 'UPDATE')
   AND has_table_privilege('public.constituents', 'SELECT')
   AND has_table_privilege('public.known_symbols', 'INSERT')
