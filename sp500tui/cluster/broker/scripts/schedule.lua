#!lua flags=allow-oom
-- Take or keep the scheduler's lease. KEYS: scheduler, scheduler:token. ARGV: name, milliseconds it lasts.
-- Returns the holder and its fencing token.
-- A token that was lost starts from the time: later than every number that was counted up to.
if not tonumber(redis.call('GET', KEYS[2])) then
    redis.call('SET', KEYS[2], redis.call('TIME')[1])
end
-- A holder without an end was not written by this script, and would never be followed by another.
local holder = redis.call('PTTL', KEYS[1]) > 0 and redis.call('GET', KEYS[1])
if not holder then
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    return {ARGV[1], redis.call('INCR', KEYS[2])}
end
if holder == ARGV[1] then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return {holder, tonumber(redis.call('GET', KEYS[2]))}
