"""The demo market: a local stand-in for Wikipedia and Yahoo Finance."""
