#!lua flags=allow-oom
-- needs: queue
-- Give a node up that is not heard any more: the queues get back what it holds, and it is struck off. In one step, so
-- that a node is heard again either before and keeps everything, or afterwards and is told.
-- KEYS: heard, beats, details, lost, wishes, queues … ARGV: name, seconds of silence, seconds to remember it,
-- seconds to remember how often. Returns 1 for the one caller that struck it off.
local name = ARGV[1]
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local prefix = KEYS[4] .. ':' .. name
local remember = tonumber(ARGV[3])
local heard = redis.call('ZSCORE', KEYS[1], name)
if not heard or now - heard < tonumber(ARGV[2]) then
    return 0
end
for at = 6, #KEYS do
    local items = reclaim(KEYS[at], name, name)
    if items > 0 then
        redis.call('HINCRBY', prefix .. ':held', string.match(KEYS[at], '[^:]+$'), items)
        redis.call('EXPIRE', prefix .. ':held', remember)
    end
end
redis.call('INCR', prefix .. ':times')
redis.call('EXPIRE', prefix .. ':times', ARGV[4])
redis.call('ZREM', KEYS[1], name)
redis.call('HSET', KEYS[4], name, heard .. ' ' .. (redis.call('HGET', KEYS[2], name) or '{}'))
redis.call('HDEL', KEYS[2], name)
redis.call('HDEL', KEYS[3], name)
local wishes = redis.call('HKEYS', KEYS[5])
for _, wish in ipairs(wishes) do
    if string.sub(wish, 1, #name + 1) == name .. '|' then
        redis.call('HDEL', KEYS[5], wish)
    end
end
local entries = redis.call('HGETALL', KEYS[4])
for at = 1, #entries, 2 do
    local since = tonumber(string.match(entries[at + 1], '^(%S+)'))
    if not since or now - since > remember then
        redis.call('HDEL', KEYS[4], entries[at])
    end
end
return 1
