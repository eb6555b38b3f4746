"""The shop's tables in the admin, beside django-cronkite's own."""

from django.contrib import admin

from shop.models import Order, Product, Report

admin.site.register([Order, Product, Report])
