"""The stages before storage: scraper, fetcher and converter."""
