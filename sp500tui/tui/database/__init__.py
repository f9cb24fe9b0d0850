"""The database screen."""
