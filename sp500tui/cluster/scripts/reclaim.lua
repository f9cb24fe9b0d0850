#!lua flags=allow-oom
-- needs: queue
-- Returns to each queue what a consumer holds. KEYS: queues. ARGV: consumer, name of the lost node or ''
-- Applied twice it finds nothing more to do. Returns how many entries each queue got back.
local counts = {}
for at, queue in ipairs(KEYS) do
  counts[at] = reclaim(queue, ARGV[1], ARGV[2])
end
return counts
