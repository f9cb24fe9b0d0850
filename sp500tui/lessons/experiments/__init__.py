"""The experiments, one file each: the text of the lesson and the measurement."""
