#!lua flags=allow-oom
-- needs: once, queue
-- Ends a lease: its first entries go back to the front, the others are done with, and the books are kept.
-- KEYS: slot, queue, books
-- ARGV: operation, consumer, entries, number of them that go back, number of replaced payloads,
--       (entry, payload) …, (book, difference) …
local before = recall()
if before then return before end
local queue, back, replaced = KEYS[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local entries, deliveries = entries_of(ARGV[3])
ensure(queue)
if not held(queue, ARGV[2], entries, deliveries) then return 'lost' end
give_back(queue, slice(entries, 1, back))
forget(queue, slice(entries, back + 1, #entries))
for at = 6, #ARGV, 2 do
  if at < 6 + 2 * replaced then
    redis.call('HSET', queue .. ':instead', ARGV[at], ARGV[at + 1])
  else
    redis.call('HINCRBY', KEYS[3], ARGV[at], ARGV[at + 1])
  end
end
return remember('ok')
