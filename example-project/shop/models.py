"""What a shop knows: products, orders, and reports about them."""

from django.db import models


class Product(models.Model):
    """Something to buy."""

    name = models.CharField(max_length=100, unique=True)
    price = models.DecimalField(max_digits=8, decimal_places=2)

    def __str__(self):
        return self.name


class Order(models.Model):
    """Somebody has bought something."""

    ordered_at = models.DateTimeField(db_index=True)
    amount = models.DecimalField(max_digits=8, decimal_places=2)
    delivered_at = models.DateTimeField(null=True, blank=True)

    def __str__(self):
        return f"Order {self.pk} for {self.amount}"


class Report(models.Model):
    """The sales up to an instant, since the report before."""

    until = models.DateTimeField(unique=True)
    orders = models.PositiveIntegerField()
    sales = models.DecimalField(max_digits=12, decimal_places=2)

    def __str__(self):
        return f"{self.orders} orders up to {self.until:%Y-%m-%d %H:%M:%S}: {self.sales}"
