"""Recordings: the data that a viewer would have received, in a file or in memory, and its replay."""
