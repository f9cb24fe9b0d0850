"""Access to a pipeline from other processes: the front-end protocol, the control socket and its viewers."""
