"""The market model of the demo: instruments, clock, prices and bars."""
