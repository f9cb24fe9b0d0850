"""The history: what the database should hold for each session, what is missing, and the requests that fill the gaps."""
