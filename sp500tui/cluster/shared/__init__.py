"""State shared between nodes through the broker."""
