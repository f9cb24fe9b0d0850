"""The driver of the terminal: output, input and the differences between frames."""
