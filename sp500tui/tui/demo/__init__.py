"""The demo screen, which injects faults into the demo market."""
