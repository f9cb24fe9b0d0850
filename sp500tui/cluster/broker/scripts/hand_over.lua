#!lua flags=allow-oom
-- needs: once, queue, put
-- What is put takes the room of what is acknowledged, so that a full broker can still be emptied.
return put()
