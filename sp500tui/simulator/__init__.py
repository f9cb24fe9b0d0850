"""The demo market: a local stand-in for Wikipedia and Yahoo Finance, reached as an ordinary HTTPS proxy."""
