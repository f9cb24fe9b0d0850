-- Whether the server only repeats what another one does; it counts no insertions then.
SELECT coalesce(current_setting('in_hot_standby', true) = 'on', false)
