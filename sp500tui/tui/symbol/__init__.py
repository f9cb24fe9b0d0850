"""The screen of one symbol, with its chart."""
