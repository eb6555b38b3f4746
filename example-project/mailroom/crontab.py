"""When is the mail room's work due? One node hands each slot over to the engine, and one of its workers runs it."""

import cronkite
from mailroom.tasks import pack_parcels, print_labels, send_invoices

cronkite.cron("* * * * * *")(send_invoices)
cronkite.cron("* * * * * */2")(print_labels)
# Parcels are packed by one worker at a time: slots that come while one does so are missed.
cronkite.cron("* * * * * */2", overlap="wait for the task")(pack_parcels)
