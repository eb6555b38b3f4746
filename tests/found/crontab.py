"""Found by itself, because of its name."""

import cronkite


@cronkite.cron("0 3 * * *", name="Count the stars")
def count_stars():
    """Look up."""


def count_clouds():
    """Look up, too."""


count_clouds.schedule = "0 15 * * *"
