"""Journeys: how long quotes take from the start of their cycle to the commit, and where."""
