"""Leader election and the shared cycle schedule."""
