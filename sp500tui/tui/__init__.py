"""The dashboard, a Textual app."""
