#!lua flags=allow-oom
-- needs: once, queue, put
-- Put items and acknowledge a lease. Allowed when memory is full: the items replace the acknowledged ones, so that a
-- full broker can still be drained.
return put()
