"""Reads the outside world: Wikipedia and Yahoo Finance. Knows nothing of queues."""
