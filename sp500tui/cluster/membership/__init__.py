"""Nodes of a cluster: heartbeats, membership and the cluster view."""
