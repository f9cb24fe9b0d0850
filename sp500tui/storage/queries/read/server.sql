-- The server, its clock, its connections, and the rows inserted so far: the difference of two readings is the rate.
SELECT current_setting('server_version'),
       clock_timestamp(),
       (SELECT sum(numbackends) FROM pg_stat_database)::bigint,
       current_setting('max_connections')::bigint,
       (SELECT n_tup_ins FROM pg_stat_user_tables WHERE schemaname = 'public' AND relname = 'prices')
