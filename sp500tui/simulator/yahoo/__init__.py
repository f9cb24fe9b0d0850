"""The simulated Yahoo Finance endpoints."""
