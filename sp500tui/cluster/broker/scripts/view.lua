#!lua flags=no-writes
-- A consistent view of the nodes, the schedule and the shared state.
-- KEYS: heard, beats, details, lost, scheduler, cycle, desired, missing, fx, list. ARGV: '1' to include details.
-- The two hashes of a lost node contain its name in their keys, with the same hash tag.
local time = redis.call('TIME')
local lost = redis.call('HGETALL', KEYS[4])
local lost_nodes = {}
for at = 1, #lost, 2 do
    local prefix = KEYS[4] .. ':' .. lost[at]
    lost_nodes[#lost_nodes + 1] = {
        lost[at], lost[at + 1], redis.call('HGETALL', prefix .. ':held'), redis.call('HGETALL', prefix .. ':takers')
    }
end
return {
    tostring(time[1] + time[2] / 1000000),
    redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES'),
    redis.call('HGETALL', KEYS[2]),
    ARGV[1] == '1' and redis.call('HGETALL', KEYS[3]) or {},
    lost_nodes,
    redis.call('GET', KEYS[5]) or '',
    redis.call('HGETALL', KEYS[6]),
    redis.call('HGETALL', KEYS[7]),
    redis.call('HGETALL', KEYS[8]),
    redis.call('HGETALL', KEYS[9]),
    redis.call('HGET', KEYS[10], 'version') or ''
}
