"""The tables of the history: sessions, coverage, memberships and retention."""
