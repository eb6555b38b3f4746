"""A database that is there, and refuses whatever it is asked: the replica of the router that splits reads."""
