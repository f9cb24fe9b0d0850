#!lua flags=allow-oom
-- Write how the cycle stands, for whoever holds the newest token only.
-- KEYS: scheduler:token, cycle. ARGV: token, then field and value, pair by pair. Returns 0 for an older token.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return 0
end
redis.call('HSET', KEYS[2], unpack(ARGV, 2))
return 1
