"""The timeline: what every worker did, on one time axis."""
