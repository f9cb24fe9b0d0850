-- Whether the server is a standby, and whether transactions are read-only by default.
SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'
