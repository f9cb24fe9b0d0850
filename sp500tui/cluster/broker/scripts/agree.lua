#!lua flags=allow-oom
-- The first one's word counts. KEYS: the hash. ARGV: '1' to forget what was agreed on before, then field and value,
-- pair by pair. Returns the hash.
if ARGV[1] == '1' then
    redis.call('DEL', KEYS[1])
end
for at = 2, #ARGV, 2 do
    redis.call('HSETNX', KEYS[1], ARGV[at], ARGV[at + 1])
end
return redis.call('HGETALL', KEYS[1])
