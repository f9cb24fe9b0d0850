#!lua flags=allow-oom
-- needs: queue
-- KEYS: queue. ARGV: consumer, milliseconds. Returns 'id,deliveries …' of what it holds for so long or longer.
if redis.call('EXISTS', KEYS[1]) == 0 then return '' end
local named = {}
for _, line in ipairs(redis.call('XPENDING', KEYS[1], GROUP, 'IDLE', ARGV[2], '-', '+', 10000, ARGV[1])) do
  named[#named + 1] = line[1] .. ',' .. line[4]
end
return table.concat(named, ' ')
