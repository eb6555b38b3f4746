"""The proof: promises P1 to P4 under every order, every storm and every fault, on every database.

``python -m proof`` (``tox -e proof``) runs it; see ``proof/__main__.py``.
"""
