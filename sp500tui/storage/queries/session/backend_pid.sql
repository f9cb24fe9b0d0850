-- The process id of the session; a pooler reports another one when it accepts a connection.
SELECT pg_backend_pid()
