#!lua
-- needs: once, queue, put
-- Not while the broker is out of memory: that is back-pressure too.
return put()
