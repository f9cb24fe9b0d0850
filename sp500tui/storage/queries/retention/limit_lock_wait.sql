-- The longest wait for a lock in this transaction: writers wait for its end.
SELECT set_config('lock_timeout', '2s', true)
