#!lua flags=allow-oom
-- Set fields that are not set yet: the first node decides. KEYS: hash. ARGV: '1' to delete the hash first, then pairs of
-- field and value. Returns the hash.
if ARGV[1] == '1' then
    redis.call('DEL', KEYS[1])
end
for at = 2, #ARGV, 2 do
    redis.call('HSETNX', KEYS[1], ARGV[at], ARGV[at + 1])
end
return redis.call('HGETALL', KEYS[1])
