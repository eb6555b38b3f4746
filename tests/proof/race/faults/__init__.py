"""Tools that break what a node rests on: its database server, the way there, its clock. Each is a ``with`` block, and
has a test of its own which shows that it breaks what it says.
"""
