"""Every order in which the statements of several nodes can meet."""
