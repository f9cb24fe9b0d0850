"""The quit dialog and the shutdown controller."""
