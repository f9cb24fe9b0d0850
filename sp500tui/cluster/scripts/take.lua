#!lua flags=allow-oom
-- needs: once, queue
-- KEYS: slot, queue, the lost nodes' hash. ARGV: operation, consumer, items at most, items at least
-- Returns ready, in flight (both before), and for each entry: id, deliveries, times dropped, payload.
local queue, consumer, most = KEYS[2], ARGV[2], tonumber(ARGV[3])
local noted, taken = {}, {}

local function deliver(id, deliveries, drops, payload)
  payload = redis.call('HGET', queue .. ':instead', id) or payload
  noted[#noted + 1] = id .. ',' .. deliveries .. ',' .. drops
  taken[#taken + 1] = {id, deliveries, drops, payload}
end

-- How often the entry was dropped; who takes it over from a lost node is noted once.
local function drops_of(id)
  local note = redis.call('HGET', queue .. ':dropped', id)
  if not note then return 0 end
  local times, node = string.match(note, '^(%d+) ?(.*)$')
  if node ~= '' then
    redis.call('HSET', queue .. ':dropped', id, times)
    redis.call('HINCRBY', KEYS[3] .. ':' .. node .. ':takers', string.match(queue, '[^:]+$') .. ' ' .. consumer, 1)
  end
  return tonumber(times)
end

local function take_returned(ids)
  for _, entry in ipairs(redis.call('XCLAIM', queue, GROUP, consumer, 0, unpack(ids))) do
    local id = entry[1]
    local deliveries = redis.call('XPENDING', queue, GROUP, id, id, 1, consumer)[1][4]
    deliver(id, deliveries, drops_of(id), entry[2][2])
  end
  redis.call('ZREM', queue .. ':returned', unpack(ids))
end

ensure(queue)
local before = recall()
if before then
  for id, deliveries, drops in string.gmatch(before, '([^,%s]+),(%d+),(%d+)') do
    local entry = redis.call('XRANGE', queue, id, id)[1]
    if entry then deliver(id, tonumber(deliveries), tonumber(drops), entry[2][2]) end
  end
  return {0, 0, taken}
end
local ready, in_flight = measure(queue)
if ready == 0 or ready < tonumber(ARGV[4]) then return {ready, in_flight, {}} end
in_parts(redis.call('ZRANGE', queue .. ':returned', 0, most - 1), take_returned)
if #taken < most then
  local new = redis.call('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', most - #taken, 'STREAMS', queue, '>')
  for _, entry in ipairs(new and new[1][2] or {}) do
    deliver(entry[1], 1, 0, entry[2][2])
  end
end
if #taken > 0 then remember(table.concat(noted, ' ')) end
return {ready, in_flight, taken}
