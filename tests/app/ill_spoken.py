"""A module that cannot be imported, and says so in characters that not every column has."""

#: NUL, which PostgreSQL refuses; half of a surrogate pair, which no encoding has; and what MySQL's utf8mb3 lacks.
TEXT = "nul \0, half \udcfc, far \U0001f600"


def never():
    """Never reached."""


raise LookupError(TEXT)
