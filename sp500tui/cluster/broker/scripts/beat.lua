#!lua flags=allow-oom
-- A node's sign of life.
-- KEYS: heard, beats, details, lost. ARGV: name, beat, details. Returns how often it has been given up for lost:
-- a number can be asked for again where the answer did not arrive.
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] + time[2] / 1000000, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
redis.call('HDEL', KEYS[4], ARGV[1])
return tonumber(redis.call('GET', KEYS[4] .. ':' .. ARGV[1] .. ':times') or '0') or 0
