"""Programs that experiments run in separate processes."""
