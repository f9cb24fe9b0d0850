-- KEYS: slot, queue, ledger, fencing token, queue of the lease that is acknowledged in the same step
-- ARGV: operation, capacity (-1: none), ledger counter of the items or '', value of the fencing token or '',
--       consumer, leased entries, items …
local function put()
  local before = recall()
  if before then return before end
  local queue, capacity, items = KEYS[2], tonumber(ARGV[2]), #ARGV - 6
  ensure(queue)
  if ARGV[4] ~= '' and redis.call('GET', KEYS[4]) ~= ARGV[4] then return 'fenced' end
  local leased, deliveries = decode_entries(ARGV[6])
  if not is_held(KEYS[5], ARGV[5], leased, deliveries) then return 'lost' end
  local ready = measure(queue)
  if capacity >= 0 and ready > 0 and ready + items > capacity then return 'full' end
  remove(KEYS[5], leased)
  for at = 7, #ARGV do
    redis.call('XADD', queue, '*', 'd', ARGV[at])
  end
  redis.call('HINCRBY', queue .. ':totals', 'in', items)
  mark_high_water(queue)
  if ARGV[3] ~= '' then redis.call('HINCRBY', KEYS[3], ARGV[3], items) end
  return remember('ok')
end
