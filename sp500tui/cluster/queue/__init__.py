"""The leased queue over broker streams."""
