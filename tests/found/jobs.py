"""Declared, and asked for by ``admin``."""


def count_sheep():
    """Fall asleep."""


count_sheep.schedule = "0 22 * * *"
