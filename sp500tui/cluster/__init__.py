"""The same pipeline on many machines: queues on a broker, nodes that join and leave, one scheduler at a time."""
