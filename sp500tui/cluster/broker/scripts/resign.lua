#!lua flags=allow-oom
-- Release the scheduler's lease. KEYS: scheduler. ARGV: name.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
