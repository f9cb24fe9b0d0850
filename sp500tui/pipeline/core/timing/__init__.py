"""How the time of the workers is accounted: by state, by second and as spans."""
