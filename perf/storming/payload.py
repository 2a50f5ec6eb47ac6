"""What flows carry: every byte depends on the flow, the direction and its place."""

import random
import struct

PIECE = 1 << 16
POOL = random.Random(0x73746F726D).randbytes((2 << 20) + 12345)
MASK = (1 << 64) - 1
# A client's stream begins with it: a mark and the flow's number.
HEAD = struct.Struct(">4sI")
MARK = b"strm"


class Stream:
    """One direction of one flow. Piece n of it is a part of one random pool, at a place that depends on flow, direction
    and n: what is lost, doubled, moved or altered is found."""

    def __init__(self, number, way):
        self.key = number * 2 + way
        self.head = HEAD.pack(MARK, number) if way == 0 else b""

    def piece(self, number):
        mixed = ((self.key << 24) + number) * 0x9E3779B97F4A7C15 & MASK
        mixed = (mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9 & MASK
        place = (mixed >> 20) % (len(POOL) - PIECE)
        return place

    def bytes(self, place, count):
        """`count` bytes of the stream from `place` on."""
        parts = []
        if place < len(self.head):
            parts.append(self.head[place:place + count])
            count -= len(parts[0])
            place += len(parts[0])
        while count > 0:
            number, within = divmod(place - len(self.head), PIECE)
            size = min(count, PIECE - within)
            start = self.piece(number) + within
            parts.append(POOL[start:start + size])
            place += size
            count -= size
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def first_difference(self, place, data):
        """Where `data` is not what stands at `place`, None where it is."""
        right = self.bytes(place, len(data))
        if right == data:
            return None
        return place + next(index for index, (one, other) in enumerate(zip(right, data)) if one != other)
