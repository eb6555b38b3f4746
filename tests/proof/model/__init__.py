"""Random histories, held against the promises written down in plain Python."""
