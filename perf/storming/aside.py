"""Work in processes of its own, side by side, each with a deadline that holds: who does not answer is killed."""

import multiprocessing
import os
import signal
import time
import traceback

from common import Failed, descendants

# What a process has to end in once it has answered, in seconds.
FAREWELL = 20.0
FORK = multiprocessing.get_context("fork")


class Aside:
    """One call in a forked process. A pool of multiprocessing's may wait without end for a worker that it cannot end:
    a SIGTERM that comes just before the worker begins to wait is handled only after that wait. Here nothing waits
    but for a time, and what has not ended by then is killed with all that it started."""

    def __init__(self, name, call, *arguments):
        self.name = name
        self.answers, far = FORK.Pipe(duplex=False)
        self.process = FORK.Process(target=work, args=(far, call, arguments), name=name, daemon=True)
        self.process.start()
        far.close()

    def answer(self, deadline):
        """What the call returned, by that time of the monotonic clock."""
        if not self.answers.poll(max(0.0, deadline - time.monotonic())):
            raise Failed(f"{self.name} has not ended in time")
        try:
            is_whole, found = self.answers.recv()
        except EOFError:
            self.process.join(FAREWELL)
            raise Failed(f"{self.name} ended with {self.process.exitcode}, without an answer") from None
        self.process.join(FAREWELL)
        if not is_whole:
            raise Failed(f"{self.name}: {found}")
        return found

    def close(self):
        if self.process.is_alive():
            for pid in descendants(self.process.pid) + [self.process.pid]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.join()
        self.answers.close()


def work(far, call, arguments):
    try:
        answer = (True, call(*arguments))
    except Failed as failed:
        answer = (False, str(failed))
    except Exception:  # pylint: disable=broad-except
        answer = (False, traceback.format_exc())
    far.send(answer)
    far.close()


def side_by_side(what, calls, seconds):
    """Yields (key, answer) for each of {key: (call, arguments)}, in their order, all within so long."""
    asides = {}
    try:
        for key, (call, arguments) in calls.items():
            asides[key] = Aside(f"{what}, {key}", call, *arguments)
        deadline = time.monotonic() + seconds
        for key, aside in asides.items():
            yield key, aside.answer(deadline)
    finally:
        for aside in asides.values():
            aside.close()
