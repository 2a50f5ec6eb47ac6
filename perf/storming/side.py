"""One socket of a flow, which the storm owns, and what it does by its plan."""

import array
import errno
import fcntl
import select
import socket
import struct
import termios
import time

from .plans import BREAKS

LINGER_RESET = struct.pack("ii", 1, 0)
UNDER_WAY = (errno.EINPROGRESS, errno.EAGAIN)
# Turns of one event, so that no flow keeps the others waiting.
READS_A_TURN = 4


def asked(connection, what):
    count = array.array("i", [0])
    fcntl.ioctl(connection.fileno(), what, count)
    return count[0]


def unread(connection):
    return asked(connection, termios.FIONREAD)


def unacknowledged(connection):
    return asked(connection, termios.TIOCOUTQ)


class Side:
    """`end` is how its own direction ended: open, fin, reset (by its own will), failed (its socket was reset). `saw` is
    the other direction's end as it came here: fin, reset, or self when it had closed before."""

    def __init__(self, flow, name, made_by, plan, sends, receives, connection):
        self.flow, self.name, self.made_by, self.plan = flow, name, made_by, plan
        self.sends, self.receives, self.connection = sends, receives, connection
        self.size = plan.size + len(sends.head)
        self.sent = self.received = 0
        self.end, self.saw = "open", None
        self.closed = self.read_paused = self.write_paused = self.is_breaking = False
        self.opening = None
        self.stalls = list(plan.stalls)
        self.loop = flow.storm.loop
        connection.setblocking(False)
        if plan.receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, plan.receive_buffer)
        if plan.send_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, plan.send_buffer)
        if plan.small_writes and connection.family == socket.AF_INET:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def broke(self):
        return self.end == "reset"

    @property
    def other(self):
        return self.flow.target if self is self.flow.client else self.flow.client

    # What it is watched for.

    def begin(self):
        """It is connected, and whoever was between has been told where to go."""
        self.opening = None
        if self.plan.style in BREAKS:
            self.loop.after(self.plan.breaks_after_seconds, self.break_off)
        self.watch()

    def watch(self):
        if self.closed:
            return
        mask = 0
        if self.opening or (self.may_write() and not self.write_paused):
            mask |= select.EPOLLOUT
        if self.saw is None and not self.read_paused and (self.plan.reads or self.flow.storm.drains):
            mask |= select.EPOLLIN
        if self.opening:
            mask = self.opening.mask
        self.loop.watch(self.connection.fileno(), mask, self.on_events)

    def may_write(self):
        if self.end != "open" or self.is_breaking:
            return False
        return self.sent < self.sayable or self.sayable == self.size

    @property
    def sayable(self):
        """How far it may speak now: one that answers says only who it is before the other has ended."""
        if self.plan.style == "answer" and self.saw is None:
            return len(self.sends.head)
        return self.size

    def on_events(self, events):
        if self.opening:
            self.opening.on_events(events)
            return
        if self.read_paused is False and self.saw is None and events & ~select.EPOLLOUT:
            self.read()
        if not self.closed and events & (select.EPOLLOUT | select.EPOLLERR | select.EPOLLHUP) and self.may_write() \
                and not self.write_paused:
            self.write()
        self.watch()

    # What comes.

    def read(self):
        fast = self.flow.storm.drains
        for _ in range(READS_A_TURN):
            try:
                data = self.connection.recv(1 << 18 if fast else self.plan.read_size)
            except BlockingIOError:
                return
            except OSError as error:
                self.note(f"read: {errno.errorcode.get(error.errno, error)}")
                self.ended("reset")
                return
            if not data:
                self.ended("reset" if self.end == "failed" else "fin")
                return
            self.take(data)
            if self.closed or self.read_paused:
                return
            if not fast and self.plan.read_pause:
                self.pause_reading(self.plan.read_pause)
                return

    def take(self, data):
        self.flow.moved()
        place = self.receives.first_difference(self.received, data)
        self.received += len(data)
        if place is not None or (self.other is not None and self.received > self.other.sent):
            where = f"at {place}" if place is not None else f"behind the {self.other.sent} that were sent"
            self.flow.fails("wrong byte", f"the {self.name} got one {where}")
            self.abandon()
            return
        if self.plan.style in ("reset", "unread") and self.received >= self.plan.breaks_after_bytes:
            self.break_off()
        elif self.stalls and self.received >= self.stalls[0][0] and not self.flow.storm.drains:
            seconds = self.stalls.pop(0)[1]
            if seconds >= 1:
                self.note(f"stalls {seconds} s at {self.received}")
            self.pause_reading(seconds)

    def pause_reading(self, seconds):
        self.read_paused = True
        self.loop.after(seconds, self.go_on_reading)

    def go_on_reading(self):
        self.read_paused = False
        self.watch()

    def ended(self, how):
        self.saw = how
        self.note(f"saw {how} after {self.received} bytes")
        self.flow.moved()
        self.flow.storm.judge(self.flow, self)
        if how == "reset":
            if self.end == "open":
                self.end = "failed"
            self.close()
        elif self.end in ("fin", "failed"):
            self.close()
        elif self.plan.style in BREAKS and not self.is_breaking:
            self.watch()

    # What goes.

    def write(self):
        low, high = self.plan.write_sizes
        sayable = self.sayable
        for _ in range(self.plan.burst):
            if self.sent >= sayable:
                break
            count = low if low == high else self.flow.dice.randint(low, high)
            # The head goes in one piece.
            count = max(count, len(self.sends.head) - self.sent)
            data = self.sends.bytes(self.sent, min(count, sayable - self.sent))
            try:
                count = self.connection.send(data)
            except BlockingIOError:
                return
            except OSError as error:
                self.note(f"write at {self.sent}: {errno.errorcode.get(error.errno, error)}")
                self.failed()
                return
            self.sent += count
            self.flow.moved()
            if count < len(data):
                return
        if self.sent >= self.size and sayable == self.size:
            self.finish()
        elif self.plan.write_pause and not self.flow.storm.drains:
            self.write_paused = True
            self.loop.after(self.plan.write_pause, self.go_on_writing)

    def go_on_writing(self):
        self.write_paused = False
        self.watch()

    def failed(self):
        """What came before the reset is still read."""
        self.end = "failed"
        self.read_paused = False
        if self.saw is not None:
            self.close()
        elif not self.plan.reads:
            self.saw = "self"
            self.close()

    def finish(self):
        style = self.plan.style
        if style in BREAKS:
            # All is said; what is waited for is the break.
            if self.flow.storm.drains:
                self.break_off()
            else:
                self.write_paused = True
            return
        try:
            if style in ("close", "both") and self.saw is None and unread(self.connection) == 0:
                if unacknowledged(self.connection) > 0:
                    # What the kernel had not sent yet would be lost if the other side spoke after the close.
                    self.write_paused = True
                    self.loop.after(0.005, self.go_on_writing)
                    return
                self.connection.shutdown(socket.SHUT_WR if style == "close" else socket.SHUT_RDWR)
                self.end, self.saw = "fin", "self"
                self.note(f"closed after {self.sent} bytes, {self.received} received")
                self.close()
                return
            self.connection.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.note(f"shutdown: {errno.errorcode.get(error.errno, error)}")
            self.failed()
            return
        self.end = "fin"
        self.note(f"ended after {self.sent} bytes")
        if self.saw is not None:
            self.close()

    # How it breaks off.

    def break_off(self):
        if self.closed or self.is_breaking:
            return
        self.is_breaking = True
        if self.plan.style == "unread":
            self.read_paused = True
            self.watch()
            self.wait_unread(time.monotonic() + 0.5)
        else:
            self.reset()

    def wait_unread(self, deadline):
        if self.closed:
            return
        if unread(self.connection) > 0:
            self.end, self.saw = "reset", self.saw or "self"
            self.note(f"closed with input unread, {self.sent} sent, {self.received} received")
            self.close()
        elif time.monotonic() > deadline:
            self.reset()
        else:
            self.loop.after(0.002, lambda: self.wait_unread(deadline))

    def reset(self):
        self.end, self.saw = "reset", self.saw or "self"
        self.note(f"reset, {self.sent} sent, {self.received} received")
        if self.connection.family == socket.AF_INET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        self.close()

    def abandon(self):
        """Out of the storm, whatever it was doing."""
        if self.closed:
            return
        if self.end == "open":
            self.end = "reset"
        self.saw = self.saw or "self"
        if self.connection.family == socket.AF_INET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        self.close()

    def close(self):
        if self.closed:
            return
        self.closed = True
        self.closed_at = time.monotonic()
        self.loop.forget(self.connection.fileno())
        self.connection.close()
        self.flow.side_closed()

    def note(self, words):
        self.flow.note(f"{self.name} {words}")

    def __str__(self):
        return (f"{self.name} ({self.plan}): sent {self.sent}, {self.end}; received {self.received}, saw {self.saw}"
                f"{'' if self.closed else ', still open'}")
