#!lua
-- needs: once, queue, put
-- Put items. Rejected when memory is full, which is back-pressure too.
return put()
