"""A proxy that is bad on purpose, so that the storm can show that it finds each fault.

usage: python3 badproxy.py FAULT LISTEN-PORT TARGET-PORT

FAULT: none, truncate (some streams end early with a clean end), forge (a reset becomes a clean end), corrupt (one byte
of some streams), double (a block twice), hang (some streams stand still), leak (nothing is ever closed), spin (works
without being asked to), die (after some connections), grow (memory).
"""

import random
import select
import socket
import struct
import sys
import threading
import time

FAULT, LISTEN, TARGET = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
RESET = struct.pack("ii", 1, 0)
LEAKED = []


def reset(*connections):
    for connection in connections:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.close()


def carry(near, number):
    """Both directions of one connection, until both have ended or one was reset."""
    dice = random.Random(number)
    far = socket.create_connection(("127.0.0.1", TARGET))
    for connection in (near, far):
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if FAULT == "leak":
        LEAKED.append((near.dup(), far.dup()))
    if FAULT == "grow":
        LEAKED.append(bytes(b"x" * (4 << 20)))
    is_bad = dice.random() < 0.3
    to, left, carried = {near: far, far: near}, {near: b"", far: b""}, {near: 0, far: 0}
    reading = {near, far}
    try:
        while reading or left[near] or left[far]:
            if FAULT == "hang" and is_bad and max(carried.values()) > 20_000:
                time.sleep(3600)
            wants_read = [side for side in reading if not left[side]]
            wants_write = [to[side] for side in (near, far) if left[side]]
            readable, writable, _ = select.select(wants_read, wants_write, [], 10)
            for side in readable:
                data = side.recv(1 << 18)
                if not data:
                    reading.discard(side)
                    to[side].shutdown(socket.SHUT_WR)
                    continue
                carried[side] += len(data)
                if is_bad and carried[side] > 3000:
                    if FAULT == "corrupt":
                        data = data[:-1] + bytes([data[-1] ^ 1])
                    elif FAULT == "double":
                        data += data
                    elif FAULT == "truncate":
                        # What a program does that forgets what it holds.
                        near.setblocking(True)
                        near.close()
                        far.close()
                        return
                left[side] = data
            for side in writable:
                source = to[side]
                left[source] = left[source][side.send(left[source]):]
        near.close()
        far.close()
    except OSError:
        if FAULT == "forge":
            for side in (near, far):
                try:
                    side.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                side.close()
        else:
            reset(near, far)


def body():
    listener = socket.create_server(("127.0.0.1", LISTEN), backlog=1024)
    number = 0
    while True:
        near, _ = listener.accept()
        number += 1
        if FAULT == "die" and number > 40:
            sys.exit(3)
        if FAULT == "spin" and number == 10:
            threading.Thread(target=spin, daemon=True).start()
        threading.Thread(target=carry, args=(near, number), daemon=True).start()


def spin():
    while True:
        pass


body()
