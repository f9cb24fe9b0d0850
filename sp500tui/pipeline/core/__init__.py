"""Building blocks of the pipeline: leased queues, worker pools, metrics, events and snapshots."""
