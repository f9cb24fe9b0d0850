"""Yahoo Finance: session, quote requests, parsing and the trading calendar."""
