"""The pipeline, independent of every front end."""
