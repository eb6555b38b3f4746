"""What many projects do: ask for the declared jobs where Django is sure to look at each start."""

from cronkite.models import Job

Job.auto_discover("found.jobs", delete_first=True)
