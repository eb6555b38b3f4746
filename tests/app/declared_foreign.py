"""A declaration with the seconds first, as other schedulers read them."""

import cronkite


@cronkite.cron("0 */5 * * * *")
def often():
    pass


@cronkite.cron("*/5 * * * *")
def as_meant():
    pass
