"""The workers panel."""
