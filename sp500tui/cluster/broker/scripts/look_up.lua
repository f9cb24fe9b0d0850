#!lua flags=no-writes
-- Everything in a hash. KEYS: the hash.
return redis.call('HGETALL', KEYS[1])
