#!lua flags=allow-oom
-- Set fields of a hash. KEYS: the hash. ARGV: field and value, pair by pair.
return redis.call('HSET', KEYS[1], unpack(ARGV))
