"""Settings: their definition, their sources, and the paths of the program's files."""
