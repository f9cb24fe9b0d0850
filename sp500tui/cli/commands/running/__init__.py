"""Commands that address a running pipeline."""
