"""A module that the nodes of an old release have not got yet, or not whole."""

import os

from app import storm

if "CRONKITE_TEST_OLD" not in os.environ:

    def run(evidence, seconds=0):
        """What the newer release can do."""
        storm.run(evidence, seconds)
