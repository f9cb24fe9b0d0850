"""Commands for a running pipeline."""
