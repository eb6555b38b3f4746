"""What does ``manage.py check`` say?

Before anything runs, without a database.

- ``setting_checks``: of the project's settings.
- ``declared_checks``: of what code declares.
- ``job_checks``: of jobs that are there.
"""

#: What other wings may use.
__all__ = ["declared_checks", "job_checks", "setting_checks"]
