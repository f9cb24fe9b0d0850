"""Lessons: experiments on the running demo that show how concurrency behaves, with measured results."""
