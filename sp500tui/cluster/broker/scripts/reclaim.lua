#!lua flags=allow-oom
-- needs: queue
-- Returns to each queue what a consumer holds that leaves. KEYS: queues. ARGV: consumer
-- Applied twice it finds nothing more to do. Returns how many entries each queue got back.
local counts = {}
for at, queue in ipairs(KEYS) do
  counts[at] = reclaim(queue, ARGV[1], '')
end
return counts
