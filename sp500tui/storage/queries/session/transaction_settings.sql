-- Settings of one transaction, overriding those of the role, the database and earlier users of a pooled session. They
-- end with it. The schema pg_catalog is searched first: another one may have functions and types of the same names. The
-- schema public is searched last: an extension may have been created there.
SELECT set_config('statement_timeout', %s, true),
       set_config('lock_timeout', '0', true),
       set_config('array_nulls', 'on', true),
       set_config('idle_in_transaction_session_timeout', '0', true),
       CASE WHEN current_setting('transaction_timeout', true) <> '0'
            THEN set_config('transaction_timeout', '0', true)
       END,
       set_config(
           'search_path', concat_ws(', ', 'pg_catalog', nullif(current_setting('search_path'), ''), 'public'), true
       )
