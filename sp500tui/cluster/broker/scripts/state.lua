#!lua flags=no-writes
-- needs: queue
-- All queues and the books, of one moment. KEYS: books, queues …
local queues = {}
for at = 2, #KEYS do
  queues[at - 1] = reading(KEYS[at])
end
return {redis.call('TIME'), queues, redis.call('HGETALL', KEYS[1])}
