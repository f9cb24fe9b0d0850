"""Wikipedia's list of S&P 500 constituents, with its cache."""
