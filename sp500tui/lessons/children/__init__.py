"""Programs that experiments run as processes of their own."""
