"""The front end without a screen (`--no-ui`)."""
