#!lua flags=allow-oom
-- needs: once, queue
-- Lease entries. KEYS: slot, queue, hash of lost nodes. ARGV: operation, consumer, most items, fewest items
-- Returns ready and in flight (both before), 'id,deliveries,times lost' of the entries, and their payloads.
local queue, consumer, most = KEYS[2], ARGV[2], tonumber(ARGV[3])
local encoded, payloads = {}, {}
-- Seconds; longer than a lost node is shown.
local TAKERS_TTL = 3600

local function deliver(id, deliveries, times_lost, payload)
  encoded[#encoded + 1] = id .. ',' .. deliveries .. ',' .. times_lost
  payloads[#payloads + 1] = payload
end

local function current_payload(entry)
  return redis.call('HGET', queue .. ':instead', entry[1]) or entry[2][2]
end

-- How many nodes were lost while they leased the entry; its new owner is recorded once.
local function times_lost_of(id)
  local record = redis.call('HGET', queue .. ':dropped', id)
  if not record then return 0 end
  local times, node = string.match(record, '^(%d+) ?(.*)$')
  if not times then return 0 end
  if node ~= '' then
    local takers = KEYS[3] .. ':' .. node .. ':takers'
    redis.call('HSET', queue .. ':dropped', id, times)
    redis.call('HINCRBY', takers, string.match(queue, '[^:]+$') .. ' ' .. consumer, 1)
    redis.call('EXPIRE', takers, TAKERS_TTL)
  end
  return tonumber(times)
end

local function take_returned(ids)
  for _, entry in ipairs(redis.call('XCLAIM', queue, GROUP, consumer, 0, unpack(ids))) do
    local id = entry[1]
    local deliveries = redis.call('XPENDING', queue, GROUP, id, id, 1, consumer)[1][4]
    deliver(id, deliveries, times_lost_of(id), current_payload(entry))
  end
  redis.call('ZREM', queue .. ':returned', unpack(ids))
end

ensure(queue)
local before = recall()
if before then
  for id, deliveries, times_lost in string.gmatch(before, '([^,%s]+),(%d+),(%d+)') do
    local entry = redis.call('XRANGE', queue, id, id)[1]
    if entry then deliver(id, deliveries, times_lost, current_payload(entry)) end
  end
  -- Entries that no longer exist were completed by another node.
  if #encoded > 0 then return {#encoded, 0, table.concat(encoded, ' '), payloads} end
end
local ready, in_flight = measure(queue)
if ready == 0 or ready < tonumber(ARGV[4]) then return {ready, in_flight, '', {}} end
in_chunks(redis.call('ZRANGE', queue .. ':returned', 0, most - 1), take_returned)
if #encoded < most then
  local new = redis.call('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', most - #encoded, 'STREAMS', queue, '>')
  for _, entry in ipairs(new and new[1][2] or {}) do
    deliver(entry[1], 1, 0, entry[2][2])
  end
end
local result = table.concat(encoded, ' ')
if result ~= '' then remember(result) end
return {ready, in_flight, result, payloads}
