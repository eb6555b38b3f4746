"""Modules whose import never ends, as of those that wait for a server."""
