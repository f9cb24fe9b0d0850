"""Assembly and life cycle of a pipeline."""
