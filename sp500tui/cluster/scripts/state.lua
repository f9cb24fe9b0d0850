#!lua flags=no-writes
-- needs: queue
-- Everything a face shows, of one moment.
-- KEYS: books, cycle, scheduler, desired, nodes, lost, queues …
local queues = {}
for at = 7, #KEYS do
  queues[at - 6] = reading(KEYS[at])
end
local prefix = string.sub(KEYS[5], 1, -2)
local heard = {}
for _, node in ipairs(redis.call('SMEMBERS', KEYS[5])) do
  heard[#heard + 1] = node
  heard[#heard + 1] = redis.call('GET', prefix .. ':' .. node) or ''
end
local lost, takers = redis.call('HGETALL', KEYS[6]), {}
for at = 1, #lost, 2 do
  takers[#takers + 1] = lost[at]
  takers[#takers + 1] = redis.call('HGETALL', KEYS[6] .. ':' .. lost[at] .. ':takers')
end
return {
  redis.call('TIME'), queues, redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2]),
  redis.call('GET', KEYS[3]) or '', redis.call('HGETALL', KEYS[4]), heard, lost, takers,
}
