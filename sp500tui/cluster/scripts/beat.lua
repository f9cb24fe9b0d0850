#!lua flags=allow-oom
-- A node's sign of life.
-- KEYS: heard, beats, details, lost. ARGV: name, beat, details. Returns 1 when it had been given up for lost.
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] + time[2] / 1000000, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
return redis.call('HDEL', KEYS[4], ARGV[1])
