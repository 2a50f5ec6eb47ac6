"""Runs a program whose every io_uring_enter(2) is refused, as the filters of some containers do it.

usage: without_io_uring_enter.py PROGRAM ARGUMENT...
"""

import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE_EPERM = 0x7FFF0000, 0x00050001
# The same on every architecture.
IO_URING_ENTER = 426


def instruction(code, true, false, value):
    return struct.pack("HBBI", code, true, false, value)


PROGRAM = (
    instruction(LOAD, 0, 0, 0)
    + instruction(EQUAL, 0, 1, IO_URING_ENTER)
    + instruction(RETURN, 0, 0, REFUSE_EPERM)
    + instruction(RETURN, 0, 0, ALLOW)
)


class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("program", ctypes.c_char_p)]


libc = ctypes.CDLL(None, use_errno=True)
form = Filter(len(PROGRAM) // 8, PROGRAM)
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
    sys.exit("PR_SET_NO_NEW_PRIVS is refused")
if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(form)) != 0:
    sys.exit("PR_SET_SECCOMP is refused")
os.execvp(sys.argv[1], sys.argv[1:])
