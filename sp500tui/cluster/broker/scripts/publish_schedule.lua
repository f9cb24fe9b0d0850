#!lua flags=allow-oom
-- Write the schedule, if the fencing token is the newest.
-- KEYS: scheduler:token, cycle. ARGV: token, then pairs of field and value. Returns 0 for an outdated token.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return 0
end
redis.call('HSET', KEYS[2], unpack(ARGV, 2))
return 1
