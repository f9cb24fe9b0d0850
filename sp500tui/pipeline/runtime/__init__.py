"""Wiring and life cycle of a pipeline."""
