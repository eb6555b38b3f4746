"""A module whose import never ends, as one that waits for a server at import."""

import time

while True:
    time.sleep(3600)
