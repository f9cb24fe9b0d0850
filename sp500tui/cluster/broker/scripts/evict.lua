#!lua flags=allow-oom
-- needs: queue
-- Evict an unresponsive node and requeue its leases. Atomic: a heartbeat arrives either before and the node keeps its
-- leases, or afterwards and returns the eviction.
-- KEYS: heard, beats, details, lost, desired, queues … ARGV: name, heartbeat timeout, seconds to keep the
-- lost node's record, seconds to keep its number of evictions. Returns 1 to the one caller that evicted it.
local name = ARGV[1]
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local prefix = KEYS[4] .. ':' .. name
local record_ttl = tonumber(ARGV[3])
local heard = redis.call('ZSCORE', KEYS[1], name)
if not heard or now - heard < tonumber(ARGV[2]) then
    return 0
end
for at = 6, #KEYS do
    local items = reclaim(KEYS[at], name, name)
    if items > 0 then
        redis.call('HINCRBY', prefix .. ':held', string.match(KEYS[at], '[^:]+$'), items)
        redis.call('EXPIRE', prefix .. ':held', record_ttl)
    end
end
redis.call('INCR', prefix .. ':times')
redis.call('EXPIRE', prefix .. ':times', ARGV[4])
redis.call('ZREM', KEYS[1], name)
redis.call('HSET', KEYS[4], name, heard .. ' ' .. (redis.call('HGET', KEYS[2], name) or '{}'))
redis.call('HDEL', KEYS[2], name)
redis.call('HDEL', KEYS[3], name)
for _, field in ipairs(redis.call('HKEYS', KEYS[5])) do
    if string.sub(field, 1, #name + 1) == name .. '|' then
        redis.call('HDEL', KEYS[5], field)
    end
end
local entries = redis.call('HGETALL', KEYS[4])
for at = 1, #entries, 2 do
    local since = tonumber(string.match(entries[at + 1], '^(%S+)'))
    if not since or now - since > record_ttl then
        redis.call('HDEL', KEYS[4], entries[at])
    end
end
return 1
