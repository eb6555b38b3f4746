"""A module that changes its process, and then can't be imported."""

import decimal
import os
import socket
import sys

os.umask(0o777)
os.environ["CRONKITE_TEST_SET_HALFWAY"] = "yes"
socket.setdefaulttimeout(0.001)
decimal.getcontext().prec = 2
sys.setrecursionlimit(sys.getrecursionlimit() + 7)
raise RuntimeError("half-way through the import")
