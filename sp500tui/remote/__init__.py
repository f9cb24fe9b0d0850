"""One pipeline seen from elsewhere: the protocol of its front ends, its control socket, and the viewers on it."""
