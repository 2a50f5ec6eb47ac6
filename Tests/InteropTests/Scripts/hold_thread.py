"""Stops one thread of a process, as if it never came back, and says "held"; ends with the thread.

usage: hold_thread.py THREAD-ID
"""

import ctypes
import os
import sys

SEIZE, INTERRUPT = 0x4206, 0x4207
WALL = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
thread = int(sys.argv[1])
for request in (SEIZE, INTERRUPT):
    if libc.ptrace(request, thread, None, None) != 0:
        sys.exit(f"ptrace: {os.strerror(ctypes.get_errno())}")
os.waitpid(thread, WALL)
print("held", file=sys.stderr, flush=True)
while os.WIFSTOPPED(os.waitpid(thread, WALL)[1]):
    pass
