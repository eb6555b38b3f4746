"""A module that cannot be imported: it raises."""


def never():
    """Never reached."""


raise LookupError("the module is broken")
