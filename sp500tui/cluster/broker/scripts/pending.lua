#!lua flags=allow-oom
-- needs: queue
-- KEYS: queue. ARGV: consumer, milliseconds. Returns 'id,deliveries …' of entries pending for at least that long.
if redis.call('EXISTS', KEYS[1]) == 0 then return '' end
local encoded = {}
for _, line in ipairs(redis.call('XPENDING', KEYS[1], GROUP, 'IDLE', ARGV[2], '-', '+', 10000, ARGV[1])) do
  encoded[#encoded + 1] = line[1] .. ',' .. line[4]
end
return table.concat(encoded, ' ')
