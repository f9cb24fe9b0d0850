"""The terminal driver: output, input and the differences between frames."""
