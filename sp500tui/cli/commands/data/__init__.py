"""Commands that read or fetch market data, or work with the database."""
