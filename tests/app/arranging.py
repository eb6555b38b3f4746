"""A module that sets at import what its functions count on."""

import decimal
import os
import socket
import sys

from app.edges import describe

os.environ["CRONKITE_TEST_SET_ARRANGED"] = "yes"
socket.setdefaulttimeout(77)
decimal.getcontext().prec = 50
sys.setrecursionlimit(4321)


def tell():
    return describe()


def tell_again():
    return describe()
