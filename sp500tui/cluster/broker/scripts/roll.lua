#!lua flags=no-writes
-- Everything about the nodes and the schedule at one moment.
-- KEYS: heard, beats, details, lost, scheduler, cycle, wishes, missing, fx, list. ARGV: whether details are wanted.
-- The two hashes of each lost node have its name in their key, with the tag of all others.
local time = redis.call('TIME')
local lost = redis.call('HGETALL', KEYS[4])
local kept = {}
for at = 1, #lost, 2 do
    local prefix = KEYS[4] .. ':' .. lost[at]
    kept[#kept + 1] = {
        lost[at], lost[at + 1], redis.call('HGETALL', prefix .. ':held'), redis.call('HGETALL', prefix .. ':takers')
    }
end
return {
    tostring(time[1] + time[2] / 1000000),
    redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES'),
    redis.call('HGETALL', KEYS[2]),
    ARGV[1] == '1' and redis.call('HGETALL', KEYS[3]) or {},
    kept,
    redis.call('GET', KEYS[5]) or '',
    redis.call('HGETALL', KEYS[6]),
    redis.call('HGETALL', KEYS[7]),
    redis.call('HGETALL', KEYS[8]),
    redis.call('HGETALL', KEYS[9]),
    redis.call('HGET', KEYS[10], 'version') or ''
}
