"""The time bar and its keys: looking back in a live dashboard, and replaying a recording."""
