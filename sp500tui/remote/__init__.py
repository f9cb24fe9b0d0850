"""One pipeline seen from other processes: the protocol of its front ends, its control socket, and the viewers on it."""
