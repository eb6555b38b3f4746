"""A module whose name begins as another one's does."""


def elsewhere():
    """Stay where you are."""


elsewhere.schedule = "0 1 * * *"
