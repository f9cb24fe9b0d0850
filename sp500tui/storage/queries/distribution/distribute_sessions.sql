-- A copy on every node: the sessions are the same for all symbols.
SELECT create_reference_table('public.sessions')
