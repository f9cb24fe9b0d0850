"""Recordings: what a viewer would have seen, in a file or in memory, and its replay."""
