"""The lessons: experiments on the running demo."""
