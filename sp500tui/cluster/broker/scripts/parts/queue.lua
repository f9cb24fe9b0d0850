-- A queue is a stream with one consumer group, and these keys:
--   <queue>:returned  sorted set of the requeued entries, in the order of their next delivery
--   <queue>:instead   hash entry -> payload that replaces the original one
--   <queue>:dropped   hash entry -> 'times' or 'times node': how many nodes were lost while they leased it
--   <queue>:totals    hash in, out, high, front
local GROUP = 'workers'
local RETURNED = 'returned'

local function ensure(queue)
  if redis.call('EXISTS', queue) == 0 then
    redis.call('XGROUP', 'CREATE', queue, GROUP, '0', 'MKSTREAM')
  end
end

local function slice(list, first, count)
  local part = {}
  for at = first, math.min(first + count - 1, #list) do
    part[#part + 1] = list[at]
  end
  return part
end

-- Lua's stack limits the number of arguments of one call.
local function in_chunks(list, act)
  for at = 1, #list, 1000 do
    act(slice(list, at, 1000))
  end
end

-- The entries of a lease as nodes encode them: 'id,deliveries id,deliveries'.
local function decode_entries(text)
  local ids, deliveries = {}, {}
  for id, count in string.gmatch(text, '([^, ]+),(%d+)') do
    ids[#ids + 1] = id
    deliveries[#deliveries + 1] = tonumber(count)
  end
  return ids, deliveries
end

local function measure(queue)
  local in_flight = redis.call('XPENDING', queue, GROUP)[1] - redis.call('ZCARD', queue .. ':returned')
  return redis.call('XLEN', queue) - in_flight, in_flight
end

local function mark_high_water(queue)
  local ready = measure(queue)
  if ready > (tonumber(redis.call('HGET', queue .. ':totals', 'high') or '0') or 0) then
    redis.call('HSET', queue .. ':totals', 'high', ready)
  end
end

-- Whether the consumer still holds every entry, with the same number of deliveries.
local function is_held(queue, consumer, ids, deliveries)
  if #ids == 0 then return true end
  local known = {}
  for _, line in ipairs(redis.call('XPENDING', queue, GROUP, ids[1], ids[#ids], 2 * #ids, consumer)) do
    known[line[1]] = line[4]
  end
  for at, id in ipairs(ids) do
    local count = known[id]
    if not count then
      local line = redis.call('XPENDING', queue, GROUP, id, id, 1, consumer)[1]
      count = line and line[4]
    end
    if count ~= deliveries[at] then return false end
  end
  return true
end

local function remove(queue, ids)
  if #ids == 0 then return end
  in_chunks(ids, function(part)
    redis.call('XACK', queue, GROUP, unpack(part))
    redis.call('XDEL', queue, unpack(part))
    for _, suffix in ipairs({':instead', ':dropped'}) do
      if redis.call('EXISTS', queue .. suffix) == 1 then redis.call('HDEL', queue .. suffix, unpack(part)) end
    end
  end)
  redis.call('HINCRBY', queue .. ':totals', 'out', #ids)
end

-- Requeue at the front, in their own order.
local function requeue(queue, ids)
  if #ids == 0 then return end
  local front = redis.call('HINCRBY', queue .. ':totals', 'front', -#ids)
  local at = 0
  in_chunks(ids, function(part)
    local scored = {}
    for _, id in ipairs(part) do
      at = at + 1
      scored[#scored + 1] = front + at
      scored[#scored + 1] = id
    end
    redis.call('ZADD', queue .. ':returned', unpack(scored))
    part[#part + 1] = 'JUSTID'
    redis.call('XCLAIM', queue, GROUP, RETURNED, 0, unpack(part))
  end)
  mark_high_water(queue)
end

-- Requeue the entries of a consumer and delete it; `lost_node` is '' when the node leaves the cluster.
-- Returns the number of entries.
local function reclaim(queue, consumer, lost_node)
  if redis.call('EXISTS', queue) == 0 then return 0 end
  local ids = {}
  for _, line in ipairs(redis.call('XPENDING', queue, GROUP, '-', '+', 10000000, consumer)) do
    ids[#ids + 1] = line[1]
    if lost_node ~= '' then
      local times = string.match(redis.call('HGET', queue .. ':dropped', line[1]) or '0', '^%d+') or '0'
      redis.call('HSET', queue .. ':dropped', line[1], (times + 1) .. ' ' .. lost_node)
    end
  end
  requeue(queue, ids)
  redis.call('XGROUP', 'DELCONSUMER', queue, GROUP, consumer)
  return #ids
end

local function milliseconds_of(id)
  return tonumber(string.match(id, '^%d+'))
end

-- Milliseconds the oldest ready entry has waited; -1 without one.
local function oldest_age(queue)
  local oldest = redis.call('ZRANGE', queue .. ':returned', 0, 0)[1]
  local group = redis.call('XINFO', 'GROUPS', queue)[1]
  local delivered = '0-0'
  for at = 1, #group, 2 do
    if group[at] == 'last-delivered-id' then delivered = group[at + 1] end
  end
  local fresh = redis.call('XRANGE', queue, '(' .. delivered, '+', 'COUNT', 1)[1]
  local since = fresh and milliseconds_of(fresh[1])
  if oldest and (not since or milliseconds_of(oldest) < since) then since = milliseconds_of(oldest) end
  if not since then return -1 end
  local time = redis.call('TIME')
  return math.max(0, math.floor(time[1] * 1000 + time[2] / 1000 - since))
end

-- ready, in flight, age of the oldest, high water, total in, total out
local function reading(queue)
  if redis.call('EXISTS', queue) == 0 then return {0, 0, -1, 0, 0, 0} end
  local ready, in_flight = measure(queue)
  local totals = redis.call('HMGET', queue .. ':totals', 'high', 'in', 'out')
  return {
    ready, in_flight, oldest_age(queue),
    tonumber(totals[1] or '0') or 0, tonumber(totals[2] or '0') or 0, tonumber(totals[3] or '0') or 0,
  }
end
