#!lua flags=allow-oom
-- needs: once, queue
-- End a lease: its first entries are requeued at the front, the others are acknowledged, and the ledger is updated.
-- KEYS: slot, queue, ledger
-- ARGV: operation, consumer, entries, number of requeued entries, number of replaced payloads,
--       (entry, payload) …, (counter, increment) …
local before = recall()
if before then return before end
local queue, requeued, replaced = KEYS[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local entries, deliveries = decode_entries(ARGV[3])
ensure(queue)
if not is_held(queue, ARGV[2], entries, deliveries) then return 'lost' end
requeue(queue, slice(entries, 1, requeued))
remove(queue, slice(entries, requeued + 1, #entries))
for at = 6, #ARGV, 2 do
  if at < 6 + 2 * replaced then
    redis.call('HSET', queue .. ':instead', ARGV[at], ARGV[at + 1])
  else
    redis.call('HINCRBY', KEYS[3], ARGV[at], ARGV[at + 1])
  end
end
return remember('ok')
