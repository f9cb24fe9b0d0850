#!lua flags=no-writes
-- needs: queue
-- KEYS: queue. Returns ready, in flight, age of the oldest in milliseconds, high water, total in, total out.
return reading(KEYS[1])
