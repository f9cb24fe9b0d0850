#!lua flags=allow-oom
-- needs: queue
-- Repair keys that another program has written to: rename keys of the wrong type, remove values that should be numbers
-- and are not. Changes nothing in valid keys.
-- KEYS: the keys. ARGV: the type of each: 'string', 'number', 'hash', 'counts', 'zset', 'stream'; then the suffix of
-- renamed keys. Returns a line for each change.
local changes = {}
local suffix = ARGV[#KEYS + 1]

local function changed(key, what)
  changes[#changes + 1] = key .. ' ' .. what
end

local TYPES = {number = 'string', counts = 'hash'}

-- Whether the key exists with the right type.
local function is_right(key, kind)
  local found = redis.call('TYPE', key).ok
  if found == 'none' then return false end
  if found == (TYPES[kind] or kind) then return true end
  redis.call('RENAME', key, key .. suffix)
  changed(key, 'is a ' .. found .. ', renamed to ' .. key .. suffix)
  return false
end

local function is_count(value)
  return value and #value < 16 and string.match(value, '^%-?%d+$') ~= nil
end

local function check(key, kind)
  if not is_right(key, kind) then return end
  if kind == 'number' and not is_count(redis.call('GET', key)) then
    -- The time is larger than every token issued before, so that older tokens stay outdated.
    redis.call('SET', key, redis.call('TIME')[1])
    changed(key, 'was not a number')
  elseif kind == 'counts' then
    local flat = redis.call('HGETALL', key)
    for at = 1, #flat, 2 do
      if not is_count(flat[at + 1]) then
        redis.call('HDEL', key, flat[at])
        changed(key, flat[at] .. ' was not a number')
      end
    end
  end
end

local function check_queue(queue)
  check(queue .. ':returned', 'zset')
  check(queue .. ':instead', 'hash')
  check(queue .. ':dropped', 'hash')
  check(queue .. ':totals', 'counts')
  if redis.call('TYPE', queue .. ':returned').ok == 'zset' then
    for _, id in ipairs(redis.call('ZRANGE', queue .. ':returned', 0, -1)) do
      if not string.match(id, '^%d+%-%d+$') then
        redis.call('ZREM', queue .. ':returned', id)
        changed(queue .. ':returned', 'contained an invalid entry id')
      end
    end
  end
  if redis.call('EXISTS', queue) == 0 then return end
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', queue)) do
    for at = 1, #group, 2 do
      if group[at] == 'name' and group[at + 1] == GROUP then return end
    end
  end
  redis.call('XGROUP', 'CREATE', queue, GROUP, '0')
  changed(queue, 'had no consumer group')
end

for at, key in ipairs(KEYS) do
  check(key, ARGV[at])
  if ARGV[at] == 'stream' then check_queue(key) end
  if string.match(key, ':lost$') and redis.call('TYPE', key).ok == 'hash' then
    for _, node in ipairs(redis.call('HKEYS', key)) do
      check(key .. ':' .. node .. ':held', 'counts')
      check(key .. ':' .. node .. ':takers', 'counts')
      check(key .. ':' .. node .. ':times', 'number')
    end
  end
end
return changes
