"""The shop's jobs. django-cronkite finds this module by its name, ``crontab``, and makes a job of each function.

The schedules have a sixth field, seconds, so that there is something to see: a shop would write ``*/5 * * * *`` for
every five minutes where these say ``* * * * * */5`` for every five seconds.
"""

import asyncio
import time
from datetime import timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Count, Sum
from django.utils import timezone

import cronkite
from cronkite import pruning
from shop import journal
from shop.models import Order, Product, Report

#: How old a log gets.
KEEP_LOGS = timedelta(days=30)


class SupplierIsAway(Exception):
    """The supplier's server answers with an error."""


@cronkite.cron("* * * * * *")
def take_orders():
    """Turn the baskets that were paid for into orders."""
    journal.note()
    products = list(Product.objects.all())
    now = timezone.now()
    orders = Order.objects.bulk_create(Order(ordered_at=now, amount=product.price) for product in products)
    return f"{len(orders)} orders"


@cronkite.cron("* * * * * */2")
async def track_parcels():
    """Ask the carriers, all at once, which parcels have arrived."""
    journal.note()

    async def ask_carrier(order):
        await asyncio.sleep(0.2)  # as long as an answer takes
        return order.pk

    open_orders = [order async for order in Order.objects.filter(delivered_at=None).order_by("pk")[:50]]
    arrived = await asyncio.gather(*map(ask_carrier, open_orders))
    count = await Order.objects.filter(pk__in=arrived).aupdate(delivered_at=timezone.now())
    return f"{count} parcels arrived"


# The supplier is asked again soon, so a slot that could not be run within two seconds is not worth running late.
@cronkite.cron("* * * * * */3", catch_up="none", grace=2)
def import_prices():
    """Fetch the supplier's prices; now and then the supplier is away, and the run fails."""
    journal.note()
    run = cronkite.current_run()
    if run and run.slot and run.slot.second % 9 == 0:
        raise SupplierIsAway("503 Service Unavailable")
    with transaction.atomic():
        for number, name in enumerate(("tea", "coffee", "cocoa")):
            Product.objects.update_or_create(name=name, defaults={"price": Decimal(number + 3)})
    return "3 prices"


@cronkite.cron("* * * * * */2", timeout=20)
def rebuild_search_index():
    """Read all products; it takes three seconds, longer than the two between its slots, so some of these are missed."""
    journal.note()
    index = {}
    for product in Product.objects.all():
        for word in product.name.split():
            index.setdefault(word, []).append(product.pk)
    time.sleep(3)
    return f"{len(index)} words"


@cronkite.cron("* * * * * */5", catch_up="all")
def report_sales():
    """Write the report of the sales since the last one: one for each slot, however late."""
    journal.note()
    run = cronkite.current_run()
    until = run.slot if run and run.slot else timezone.now()
    before = Report.objects.filter(until__lt=until).order_by("until").last()
    orders = Order.objects.filter(ordered_at__lte=until)
    if before:
        orders = orders.filter(ordered_at__gt=before.until)
    totals = orders.aggregate(orders=Count("pk"), sales=Sum("amount", default=Decimal(0)))
    report, _ = Report.objects.update_or_create(until=until, defaults=totals)
    return str(report)


def prune_logs():
    """Delete the logs that are older than 30 days, as CRONKITE_LOG_MAX_DAYS = 30 would do it each night."""
    journal.note()
    return f"{sum(pruning.prune(older_than=KEEP_LOGS))} logs deleted"


# The other way to declare a job: an attribute, for code that had better not import django-cronkite.
prune_logs.schedule = "* * * * * */10"
