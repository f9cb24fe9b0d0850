#!lua flags=allow-oom
-- Record a heartbeat.
-- KEYS: heard, beats, details, lost. ARGV: name, heartbeat, details. Returns the number of evictions of this
-- node so far: unlike a flag, it survives a lost reply.
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] + time[2] / 1000000, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
redis.call('HDEL', KEYS[4], ARGV[1])
return tonumber(redis.call('GET', KEYS[4] .. ':' .. ARGV[1] .. ':times') or '0') or 0
