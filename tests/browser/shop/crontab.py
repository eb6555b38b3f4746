"""The shop's jobs."""

import cronkite


@cronkite.cron("0 3 * * *", timezone="Europe/Berlin", name="Send invoices")
def send_invoices(limit: int = 500) -> str:
    """Send the invoices of the day before."""
    print(f"{limit} invoices at most")
    return "42 invoices sent"


@cronkite.cron("*/5 * * * *", name="Import prices")
def import_prices():
    """Fetch the supplier's prices."""


@cronkite.cron("* * * * *", name="Take orders")
def take_orders():
    """Turn the baskets that were paid for into orders."""


@cronkite.cron("*/10 8-18 * * mon-fri", timezone="Europe/Berlin", name="Track parcels")
def track_parcels():
    """Ask the carriers which parcels have arrived."""


@cronkite.cron("15 */2 * * *", name="Rebuild the search index")
def rebuild_search_index():
    """Read all products."""


@cronkite.cron("*/15 * * * *", name="Report sales")
def report_sales():
    """Write the report of the sales since the last one."""


@cronkite.cron("30 2 1 * *", timezone="Europe/Berlin", name="Close the books")
def close_books():
    """Close the month that is over."""
