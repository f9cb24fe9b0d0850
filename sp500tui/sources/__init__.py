"""Clients of Wikipedia and Yahoo Finance, independent of the pipeline."""
