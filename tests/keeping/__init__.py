"""A backend that keeps connections which are closed in a pool of its module's, as some of other packages do."""
