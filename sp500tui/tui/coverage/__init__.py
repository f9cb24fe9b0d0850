"""The coverage screen: which sessions of which symbols are complete."""
