"""A terminal dashboard that runs, shows and steers a concurrent S&P 500 price pipeline."""

__version__ = "0.1.0"
