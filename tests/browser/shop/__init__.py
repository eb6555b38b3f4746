"""A little shop, for there to be jobs that look like somebody's."""
