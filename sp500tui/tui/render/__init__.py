"""Lines of text and their parts, rendered from values without Textual; shared by all slices."""
