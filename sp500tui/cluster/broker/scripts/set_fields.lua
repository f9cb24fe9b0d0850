#!lua flags=allow-oom
-- HSET that is allowed when memory is full, unlike the command. KEYS: hash. ARGV: pairs of field and value.
return redis.call('HSET', KEYS[1], unpack(ARGV))
