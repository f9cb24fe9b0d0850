#!lua flags=allow-oom
-- needs: once, queue
-- Ends a lease: its first entries go back to the front, the others are done with, and the books are kept.
-- KEYS: slot, queue, books
-- ARGV: operation, consumer, entries, entries that go back, replaced payloads, counters,
--       entries …, deliveries …, (entry, payload) …, (book, difference) …
local before = recall()
if before then return before end
local queue, leased, back = KEYS[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local replaced, counters = 2 * tonumber(ARGV[5]), 2 * tonumber(ARGV[6])
local at = 6
local function next_of(count)
  at = at + count
  return slice(ARGV, at - count + 1, count)
end
local entries, deliveries = next_of(leased), next_of(leased)
ensure(queue)
if not held(queue, ARGV[2], entries, deliveries) then return 'lost' end
give_back(queue, slice(entries, 1, back))
forget(queue, slice(entries, back + 1, leased))
for _ = 1, replaced, 2 do
  redis.call('HSET', queue .. ':instead', unpack(next_of(2)))
end
for _ = 1, counters, 2 do
  redis.call('HINCRBY', KEYS[3], unpack(next_of(2)))
end
return remember('ok')
