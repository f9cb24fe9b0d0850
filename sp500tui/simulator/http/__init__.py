"""The HTTPS forward proxy of the demo market and its control endpoint."""
