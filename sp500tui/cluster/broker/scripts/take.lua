#!lua flags=allow-oom
-- needs: once, queue
-- KEYS: slot, queue, the lost nodes' hash. ARGV: operation, consumer, items at most, items at least
-- Returns ready and in flight (both before), 'id,deliveries,times dropped' of the entries, and their payloads.
local queue, consumer, most = KEYS[2], ARGV[2], tonumber(ARGV[3])
local notes, payloads = {}, {}

local function deliver(id, deliveries, drops, payload)
  notes[#notes + 1] = id .. ',' .. deliveries .. ',' .. drops
  payloads[#payloads + 1] = payload
end

local function newest_payload(entry)
  return redis.call('HGET', queue .. ':instead', entry[1]) or entry[2][2]
end

-- How often the entry was dropped; who takes it over from a lost node is noted once.
local function drops_of(id)
  local note = redis.call('HGET', queue .. ':dropped', id)
  if not note then return 0 end
  local times, node = string.match(note, '^(%d+) ?(.*)$')
  if not times then return 0 end
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
    deliver(id, deliveries, drops_of(id), newest_payload(entry))
  end
  redis.call('ZREM', queue .. ':returned', unpack(ids))
end

ensure(queue)
local before = recall()
if before then
  for id, deliveries, drops in string.gmatch(before, '([^,%s]+),(%d+),(%d+)') do
    local entry = redis.call('XRANGE', queue, id, id)[1]
    if entry then deliver(id, deliveries, drops, newest_payload(entry)) end
  end
  -- Entries that are gone by now were somebody else's meanwhile.
  if #notes > 0 then return {#notes, 0, table.concat(notes, ' '), payloads} end
end
local ready, in_flight = measure(queue)
if ready == 0 or ready < tonumber(ARGV[4]) then return {ready, in_flight, '', {}} end
in_parts(redis.call('ZRANGE', queue .. ':returned', 0, most - 1), take_returned)
if #notes < most then
  local new = redis.call('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', most - #notes, 'STREAMS', queue, '>')
  for _, entry in ipairs(new and new[1][2] or {}) do
    deliver(entry[1], 1, 0, entry[2][2])
  end
end
local noted = table.concat(notes, ' ')
if noted ~= '' then remember(noted) end
return {ready, in_flight, noted, payloads}
