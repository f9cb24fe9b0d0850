#!lua flags=allow-oom
-- Remove a node that leaves. KEYS: heard, beats, details, desired, scheduler. ARGV: name.
local name = ARGV[1]
redis.call('ZREM', KEYS[1], name)
redis.call('HDEL', KEYS[2], name)
redis.call('HDEL', KEYS[3], name)
for _, field in ipairs(redis.call('HKEYS', KEYS[4])) do
    if string.sub(field, 1, #name + 1) == name .. '|' then
        redis.call('HDEL', KEYS[4], field)
    end
end
if redis.call('GET', KEYS[5]) == name then
    redis.call('DEL', KEYS[5])
end
return 1
