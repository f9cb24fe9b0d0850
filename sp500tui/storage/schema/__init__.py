"""The database schema: SQL migrations and the code that applies them."""
