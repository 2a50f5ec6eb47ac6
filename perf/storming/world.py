"""The flows under way, what became of all, and what was found."""

import collections
import errno
import random
import socket
import sys
import time

from . import judge
from .flow import Flow
from .loop import Loop
from .payload import HEAD, MARK

# Stories that are printed, one of each kind at each door first; all are counted.
STORIES = 25


class Door:
    """Where connections go in, and where they come out. `kind` is for people; `client_end` and `target_end` say who
    makes the ends that client and target see. `socks`: the client says where to go."""

    def __init__(self, subject, kind, family, address, client_end, target_end, socks=False):
        self.subject, self.kind, self.family, self.address = subject, kind, family, address
        self.client_end, self.target_end, self.socks = client_end, target_end, socks
        self.weight = 1

    def __str__(self):
        return f"{self.kind} of {self.subject.label}"


class Storm:
    def __init__(self, seed):
        self.seed = seed
        self.dice = random.Random(seed)
        self.loop = Loop()
        self.flows = {}
        # Whose client has closed and that have not arrived yet.
        self.gone = {}
        self.number = 0
        self.drains = False
        self.failures = collections.Counter()
        self.told = set()
        self.ends = collections.Counter()
        self.flow_ends = collections.Counter()
        self.faults = collections.Counter()
        self.group = ""
        self.on_fault = lambda: ""
        # Nothing is printed: what is found is expected.
        self.quiet = False

    # The targets.

    def listen(self):
        """A listener of a target; its port."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        listener.setblocking(False)
        self.loop.watch(listener.fileno(), 1, lambda _: self.accept(listener))
        return listener

    def accept(self, listener):
        for _ in range(64):
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setblocking(False)
            visitor = Visitor(self, connection)
            self.loop.watch(connection.fileno(), 1, visitor.on_events)

    # The flows.

    def begin(self, door, process=None, crawls=False):
        """Begins a flow; `process` is the other end of its client's socket pair: (socket, culvert -W)."""
        self.number += 1
        flow = Flow(self, door, self.number, crawls)
        self.flows[flow.number] = flow
        if process:
            flow.start(process, None, is_connected=True)
            return flow
        connection = socket.socket(door.family)
        connection.setblocking(False)
        try:
            error = connection.connect_ex(door.address)
        except OSError as failure:
            error = failure.errno
        if door.family != socket.AF_UNIX and error in (0, errno.EINPROGRESS):
            flow.port = connection.getsockname()[1]
        target = door.subject.target_port(door) if door.socks else None
        flow.start(connection, target)
        if error not in (0, errno.EINPROGRESS):
            flow.refused(errno.errorcode.get(error, str(error)))
        return flow

    def count_end(self, what):
        self.ends[self.group, what] += 1

    def judge(self, flow, reader):
        what, failure = judge.judge(flow, reader)
        if failure and flow.subject.is_dying():
            # What its end does to flows is no finding of its own, but for a clean end.
            what, failure = judge.judge(flow, reader)
        self.count_end(what)
        if failure and not flow.has_failed:
            flow.fails(*failure)

    def refused(self, flow, words):
        self.count_end("not connected")
        if flow.is_calm and flow.client_plan.style != "silent" and not flow.subject.is_dying():
            flow.fails("refused without a cause", words)

    def over(self, flow):
        flow.is_over = True
        self.flows.pop(flow.number, None)
        if flow.target is None:
            self.gone[flow.number] = flow
        else:
            self.flow_ends[self.group, flow_end(flow)] += 1

    def returns(self, number):
        """The flow whose target has come, None for a number that is no flow's."""
        flow = self.flows.get(number)
        if flow is None and number in self.gone:
            flow = self.gone.pop(number)
            flow.is_over = False
            self.flows[number] = flow
        return flow if flow is not None and flow.target is None else None

    def drain(self):
        """From now on everybody reads and ends as soon as he can."""
        self.drains = True
        for flow in list(self.flows.values()):
            for side in (flow.client, flow.target):
                if side is not None and not side.closed and side.opening is None:
                    side.read_paused = side.write_paused = False
                    if not side.plan.reads or (side.plan.style in ("reset", "unread") and side.sent >= side.size):
                        side.reset()
                    else:
                        side.watch()

    def forget_gone(self):
        for _ in self.gone:
            self.flow_ends[self.group, "never arrived"] += 1
        self.gone.clear()

    # What is found.

    def fail(self, kind, words, story=None):
        where = story.door if isinstance(story, Flow) else ""
        key = f"{kind} [{where or self.group}{self.on_fault()}]"
        self.failures[key] += 1
        if key not in self.told and len(self.told) < STORIES and not self.quiet:
            self.told.add(key)
            print(f"\nFOUND: {kind}: {words} (seed {self.seed}, {self.group}{self.on_fault()})", file=sys.stderr)
            if story is not None:
                print(story, file=sys.stderr, flush=True)


def flow_end(flow):
    """How both sides of a flow ended, by their own direction."""
    names = {"fin": "clean", "reset": "broken off", "failed": "cut", "open": "open"}
    ends = sorted((names[flow.client.end], names[flow.target.end]))
    return " / ".join(ends)


class Visitor:
    """A connection at the target that has not said which flow it is."""

    def __init__(self, storm, connection):
        self.storm, self.connection = storm, connection
        self.head = b""
        self.born = time.monotonic()

    def on_events(self, _):
        try:
            data = self.connection.recv(HEAD.size - len(self.head))
        except BlockingIOError:
            return
        except OSError:
            self.leaves("reset before its first word")
            return
        if not data:
            if self.head:
                # The head leaves a client in one piece.
                self.storm.count_end("ended inside its first word")
            self.leaves("ended before its first word")
            return
        self.head += data
        if len(self.head) < HEAD.size:
            return
        mark, number = HEAD.unpack(self.head)
        flow = self.storm.returns(number) if mark == MARK else None
        if flow is None:
            self.storm.fail("wrong byte", f"a stream began with {self.head.hex()}, which is no flow's first word")
            self.leaves(None)
            return
        self.storm.loop.forget(self.connection.fileno())
        flow.arrived(self.connection, len(self.head))

    def leaves(self, what):
        if what:
            self.storm.count_end(what)
        self.storm.loop.forget(self.connection.fileno())
        self.connection.close()
