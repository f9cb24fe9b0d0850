-- KEYS: slot, queue, books, fence, queue of the lease that is acknowledged in the same step
-- ARGV: operation, capacity (-1: none), book that counts the items or '', fence's value or '',
--       number of items, consumer, number of leased entries, items …, entries …, deliveries …
local function put()
  local before = recall()
  if before then return before end
  local queue, capacity, items, leased = KEYS[2], tonumber(ARGV[2]), tonumber(ARGV[5]), tonumber(ARGV[7])
  ensure(queue)
  if ARGV[4] ~= '' and redis.call('GET', KEYS[4]) ~= ARGV[4] then return 'fenced' end
  local entries = slice(ARGV, 8 + items, leased)
  local deliveries = slice(ARGV, 8 + items + leased, leased)
  if not held(KEYS[5], ARGV[6], entries, deliveries) then return 'lost' end
  local ready = measure(queue)
  if capacity >= 0 and ready > 0 and ready + items > capacity then return 'full' end
  forget(KEYS[5], entries)
  for at = 8, 7 + items do
    redis.call('XADD', queue, '*', 'd', ARGV[at])
  end
  redis.call('HINCRBY', queue .. ':totals', 'in', items)
  mark_high_water(queue)
  if ARGV[3] ~= '' then redis.call('HINCRBY', KEYS[3], ARGV[3], items) end
  return remember('ok')
end
