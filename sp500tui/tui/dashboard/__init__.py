"""The main screen and the pipeline strip."""
