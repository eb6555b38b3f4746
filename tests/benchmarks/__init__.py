"""The benchmark: how fast is django-cronkite, next to the raw driver and next to its peers? ``tox -e bench`` runs it.

``__main__`` is the command: for each database it starts a server and a ``session`` with it, which runs the ``measures``
and, on PostgreSQL, the ``peers``, round after round. ``report`` holds what came of it against the ``targets``;
``table`` and ``plot`` show it.
"""
