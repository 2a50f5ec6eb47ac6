"""Runs a program on a terminal of its own and types answers to its questions.

usage: on_terminal.py QUESTION ANSWER [QUESTION ANSWER]... -- PROGRAM [ARGUMENT]...

Each answer is typed once, when its question (a piece of text, case ignored) has appeared after the one before it.
What the program writes to the terminal goes to standard error. SIGTERM goes to the program; its exit code is ours.
"""

import os
import pty
import signal
import sys

split = sys.argv.index("--")
words, command = sys.argv[1:split], sys.argv[split + 1:]
dialogue = [(question.lower().encode(), answer.encode() + b"\n") for question, answer in zip(words[::2], words[1::2])]

child, terminal = pty.fork()
if child == 0:
    os.execvp(command[0], command)
signal.signal(signal.SIGTERM, lambda number, _: os.kill(child, number))

seen = b""
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:  # EIO: the program has closed its terminal
        break
    if not piece:
        break
    os.write(2, piece)
    seen += piece.lower()
    while dialogue and dialogue[0][0] in seen:
        question, answer = dialogue.pop(0)
        seen = seen.partition(question)[2]
        os.write(terminal, answer)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)
