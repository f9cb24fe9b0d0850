#!lua flags=no-writes
-- needs: queue
-- A consistent reading of the ledger and all queues. KEYS: ledger, queues …
local queues = {}
for at = 2, #KEYS do
  queues[at - 1] = reading(KEYS[at])
end
return {redis.call('TIME'), queues, redis.call('HGETALL', KEYS[1])}
