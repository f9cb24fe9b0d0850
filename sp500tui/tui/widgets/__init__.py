"""Widgets shared by all slices: lists, lines, titles and key bindings."""
