"""The nodes screen of a cluster."""
