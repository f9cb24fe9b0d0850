-- Whether the server is a standby, which does not count insertions.
SELECT coalesce(current_setting('in_hot_standby', true) = 'on', false)
