"""The storage stage: writer threads and their writer processes."""
