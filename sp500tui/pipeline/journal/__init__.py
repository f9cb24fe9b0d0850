"""The on-disk journal of batches and the dead letters."""
