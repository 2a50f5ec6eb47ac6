"""A VNC client: RFC 6143 as far as it takes to ask for pictures and get them raw."""

import socket
import struct

from common import Failed

RAW = 0


class Screen:
    """A connection to a VNC server without a password."""

    def __init__(self, address):
        self.connection = socket.create_connection(address, timeout=20)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self.take(12).startswith(b"RFB 003.008"):
            raise Failed("the server does not speak RFB 3.8")
        self.connection.sendall(b"RFB 003.008\n")
        if 1 not in self.take(self.take(1)[0]):
            raise Failed("the server takes nobody without a password")
        self.connection.sendall(b"\x01")
        if self.take(4) != bytes(4):
            raise Failed("the server refused the login")
        self.connection.sendall(b"\x01")
        self.width, self.height, bits = struct.unpack("!HHB", self.take(20)[:5])
        self.take_text()
        self.pixel = bits // 8
        self.connection.sendall(struct.pack("!BxHi", 2, 1, RAW))
        self.buffer = memoryview(bytearray(1 << 20))

    def take(self, count):
        data = b""
        while len(data) < count:
            more = self.connection.recv(count - len(data))
            if not more:
                raise Failed("the server ended the connection")
            data += more
        return data

    def take_text(self):
        return self.take(struct.unpack("!I", self.take(4))[0])

    def swallow(self, count):
        while count:
            taken = self.connection.recv_into(self.buffer, min(count, len(self.buffer)))
            if not taken:
                raise Failed("the server ended the connection")
            count -= taken

    def point(self, x, y):
        """Moves the pointer."""
        self.connection.sendall(struct.pack("!BBHH", 5, 0, x, y))

    def picture(self, width, height):
        """Asks for that part of the screen, whether it changed or not, and takes it; bytes of pixels."""
        self.connection.sendall(struct.pack("!BBHHHH", 3, 0, 0, 0, width, height))
        total = 0
        while total < width * height * self.pixel:
            total += self.update()
        return total

    def update(self):
        """Takes one message; bytes of the pixels in it."""
        kind = self.take(1)[0]
        if kind == 0:
            total = 0
            for _ in range(struct.unpack("!xH", self.take(3))[0]):
                _, _, width, height, encoding = struct.unpack("!HHHHi", self.take(12))
                if encoding != RAW:
                    raise Failed(f"the server sent encoding {encoding}, which was not asked for")
                self.swallow(width * height * self.pixel)
                total += width * height * self.pixel
            return total
        if kind == 1:
            self.take(6 * struct.unpack("!xHH", self.take(5))[1])
        elif kind == 3:
            self.take(3)
            self.take_text()
        elif kind != 2:
            raise Failed(f"the server sent message {kind}, which RFC 6143 does not know")
        return 0

    def close(self):
        self.connection.close()
