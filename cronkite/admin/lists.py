"""What does the list of jobs know of each, besides its row, and how is it ordered and paged?"""

from __future__ import annotations

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR
from django.db.models import QuerySet
from django.http import HttpRequest

from cronkite.admin import addresses, orders, states, strips
from cronkite.code import functions


class JobChangeList(addresses.SoundChangeList):
    """The list of jobs, with what is known of each besides its row, by as many queries however many they are."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Return the order that was asked for."""
        self.outcomes = request.user.has_perm("cronkite.view_log")
        return super().get_ordering(request, queryset)

    def get_ordering_field(self, field_name: Any) -> Any:
        """Return by what a column is ordered."""
        if field_name == "state":
            return orders.attention(outcomes=self.outcomes)
        if field_name == "last":
            return orders.last_run() if self.outcomes else None
        return super().get_ordering_field(field_name)

    def get_ordering_field_columns(self) -> Any:
        """Return which columns the list is ordered by: those that were clicked, or the name unless another order is."""
        if ORDER_VAR in self.params:
            return super().get_ordering_field_columns()
        # Django would compare what each column is ordered by, and that of the state takes a query to be known.
        by_name = self.params.get("order", "") not in orders.NAMES
        return {list(self.list_display).index("name"): "asc"} if by_name and "name" in self.list_display else {}

    def get_results(self, request: HttpRequest) -> None:
        """Find the jobs of the page, and their strips. Beyond the last page, as after an action, is the last one."""
        try:
            super().get_results(request)
        except IncorrectLookupParameters:
            self.page_num = self.model_admin.get_paginator(request, self.queryset, self.list_per_page).num_pages
            super().get_results(request)
        jobs: list[Any] = list(self.result_list)
        found = strips.of(jobs) if request.user.has_perm("cronkite.view_log") else {}
        functions.try_all(job.callee for job in jobs)
        problems = {callee: states.missing(callee) for callee in {job.callee for job in jobs}}
        states.tell_room(jobs)
        for job in jobs:
            job.strip, job.problem = found.get(job.pk), problems[job.callee]
        self.result_list = jobs
