"""The time bar and its keys: the last minutes of a live dashboard, and replays of recordings."""
