"""One node of a cluster: wiring, life cycle, control loop and snapshot."""
