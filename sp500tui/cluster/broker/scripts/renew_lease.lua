#!lua flags=allow-oom
-- Acquire or renew the scheduler's lease. KEYS: scheduler, scheduler:token. ARGV: name, TTL in milliseconds.
-- Returns the holder and its fencing token.
-- A missing token starts from the time, which is larger than every token issued before.
if not tonumber(redis.call('GET', KEYS[2])) then
    redis.call('SET', KEYS[2], redis.call('TIME')[1])
end
-- A holder without a TTL was not written by this script and would block every other node.
local holder = redis.call('PTTL', KEYS[1]) > 0 and redis.call('GET', KEYS[1])
if not holder then
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    return {ARGV[1], redis.call('INCR', KEYS[2])}
end
if holder == ARGV[1] then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return {holder, tonumber(redis.call('GET', KEYS[2]))}
