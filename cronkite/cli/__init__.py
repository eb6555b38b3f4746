"""What can be asked of django-cronkite at the command line, beside ticks?

A module for each: its docstring is what ``--help`` shows, ``add_arguments(parser)`` says what it takes, and
``run(options, terminal)`` does it and returns the exit code. It is imported when it is asked for, as a tick needs none.
"""

#: The subcommands, each with what ``manage.py cron --help`` says of it.
COMMANDS = {
    "loop": "stay, and tick at each slot; for containers",
    "list": "show the jobs: their schedules, what comes next, how they ended last",
    "run": "run a job now, here",
    "next": "show the slots that an expression names",
    "why": "tell what became of a job at a time, and why",
    "log": "show a log: how the run ended, what it wrote, its traceback",
    "enable": "have a job run by its schedule",
    "disable": "have a job run no more by its schedule",
    "health": "tell if all is well, as monitoring plugins do",
    "sync": "make rows of the jobs that code declares",
    "import": "make jobs of what a crontab or another scheduler has",
    "export": "write what people have decided on jobs, to be imported elsewhere",
    "prune": "delete old logs",
    "unlock": "clear the lock of a job whose run is gone",
}

#: Those that say what they have done in the database, unless it is a dry run.
WRITING = frozenset({"run", "enable", "disable", "sync", "import", "prune", "unlock"})
