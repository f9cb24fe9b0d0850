"""Streams rows of the database to files."""
