"""The admin as people use it, in a real browser: ``tox -e browser``. Not part of the suite."""
