"""What are people told, and how does a mail say it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import mail_admins, send_mail

#: How many notices a mail tells, and how many letters of a name its subject.
MOST, LETTERS = 100, 60

#: What is the subject of a mail.
HEADS = {
    "failing": "Job {name!r} fails",
    "missed": "Slots of job {name!r} were missed",
    "stuck": "Job {name!r} is stuck",
    "silent": "Node {name} is silent",
}
HEADS_WELL = dict.fromkeys(("failing", "missed", "stuck"), "Job {name!r} is well again") | {
    "silent": "Node {name} is well again",
}

#: What is said when it is over.
WELL = {
    "failing": "Job {name!r} is well again: its last run has succeeded.",
    "missed": "Job {name!r} is well again: no slots of it were missed in the last 24 hours.",
    "stuck": "Job {name!r} is well again: it is not stuck any more.",
    "silent": "Node {name} is well again: it ticks, or was stopped as it should be.",
}


@dataclass(frozen=True)
class Notice:
    """What people are to know: that something is wrong, or, if it ``is_over``, that all is well again.

    ``kind`` is ``"failing"``, ``"missed"``, ``"stuck"`` (of a job) or ``"silent"`` (of a node). ``name`` is the job's
    or the node's, ``job_id`` is ``None`` for a node. ``text`` says it in a sentence, in English, as the log does.
    ``since`` (UTC) is when it was first seen; of what comes and goes, the first time. ``who`` is whom the job's
    ``alert`` names; empty: nobody in particular.
    """

    kind: str
    is_over: bool
    name: str
    job_id: int | None
    text: str
    since: datetime
    who: tuple[str, ...] = ()


def mail(notices: Sequence[Notice]) -> None:
    """Tell by e-mail: those whom the jobs' ``alert`` names, or else ``ADMINS``; one mail for all ``notices``.

    This is what ``CRONKITE_ALERT = "cronkite.alerts.mail"`` calls. Raises
    :class:`django.core.exceptions.ImproperlyConfigured` if there is nobody to tell, and what Django's mail raises.
    """
    # Such as "@ops" is a name for others.
    who = [name for name in notices[0].who if "@" in name.lstrip("@#")]
    subject = _subject(notices[0])
    if len(notices) > 1:
        subject = f"{subject}, and {len(notices) - 1} more"
    texts = [notice.text for notice in notices[:MOST]]
    if len(notices) > MOST:
        texts.append(f"And {len(notices) - MOST} more, which the admin and `manage.py cron health` tell.")
    text = "\n\n".join(texts)
    if who:
        send_mail(f"{settings.EMAIL_SUBJECT_PREFIX}{subject}", text, None, who)
    elif not settings.ADMINS:
        raise ImproperlyConfigured("ADMINS is empty, and the jobs name no e-mail address in their alert.")
    else:
        mail_admins(subject, text)


def _subject(notice: Notice) -> str:
    """Return what fits the subject of a mail: in one line, however long the name is and whatever is in it."""
    name = notice.name if len(notice.name) <= LETTERS else f"{notice.name[: LETTERS - 1]}…"
    head = (HEADS_WELL if notice.is_over else HEADS)[notice.kind]
    return " ".join(head.format(name=name).split())
