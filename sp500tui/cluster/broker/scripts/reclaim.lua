#!lua flags=allow-oom
-- needs: queue
-- Requeue the entries of a consumer that leaves. KEYS: queues. ARGV: consumer. Idempotent.
-- Returns the number of requeued entries of each queue.
local counts = {}
for at, queue in ipairs(KEYS) do
  counts[at] = reclaim(queue, ARGV[1], '')
end
return counts
