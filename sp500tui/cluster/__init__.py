"""The same pipeline on many machines: queues in a broker, nodes that come and go, one scheduler at a time."""
