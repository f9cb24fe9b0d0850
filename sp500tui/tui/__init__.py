"""The face for people: the Textual dashboard."""
