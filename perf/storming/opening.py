"""How a client comes to its flow: connecting, and SOCKS where the door speaks it."""

import errno
import select
import socket
import struct


class Opening:
    """The client's steps until payload begins. `socks` is the target's port, None where the door leads to one."""

    def __init__(self, side, socks, eager):
        self.side, self.socks, self.eager = side, socks, eager
        self.mask = select.EPOLLOUT
        self.step = "connecting"
        self.wanted = 0
        self.got = b""

    def on_events(self, events):
        try:
            if self.step == "connecting":
                self.connected()
            else:
                self.answer()
        except BlockingIOError:
            pass
        except OSError as error:
            self.gone(errno.errorcode.get(error.errno, str(error)))
        self.side.watch()

    def connected(self):
        error = self.side.connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, "connect")
        if self.side.plan.style == "silent":
            self.side.opening = None
            self.side.reset() if self.side.plan.breaks_after_bytes > 1000 else self.leave()
        elif self.socks is None:
            self.side.begin()
        else:
            self.side.connection.send(b"\5\1\0")
            self.step, self.wanted, self.mask = "greeting", 2, select.EPOLLIN

    def leave(self):
        """A connection that ends before it said a word."""
        self.side.connection.shutdown(socket.SHUT_WR)
        self.side.end, self.side.saw = "fin", "self"
        self.side.close()

    def answer(self):
        data = self.side.connection.recv(self.wanted - len(self.got))
        if not data:
            raise OSError(errno.ENOTCONN, "ended")
        self.got += data
        if len(self.got) < self.wanted:
            return
        got, self.got = self.got, b""
        if self.step == "greeting" and got == b"\5\0":
            request = b"\5\1\0\1\x7f\0\0\1" + struct.pack("!H", self.socks)
            if self.eager:
                # Payload right behind the request.
                request += self.side.sends.head
                self.side.sent = len(self.side.sends.head)
            self.side.connection.send(request)
            self.step, self.wanted = "request", 10
        elif self.step == "request" and got[:2] == b"\5\0":
            self.side.begin()
        else:
            self.gone(f"SOCKS answer {got.hex()}")

    def gone(self, words):
        self.side.opening = None
        self.side.note(f"not connected: {words}")
        self.side.flow.refused(words)
