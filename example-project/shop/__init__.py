"""A little web shop."""
