"""The history: what the database should hold of each session, what is missing, and the requests that fill it."""
