"""The concurrent engine. Knows nothing of any screen."""
