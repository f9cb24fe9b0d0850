"""Logging: set-up, formats, rotation and redaction."""
