"""One connection through what is tested, both of whose ends are the storm's."""

import random
import time

from .opening import Opening
from .payload import Stream
from .plans import BREAKS, CLEAN, pair
from .side import Side

LONGEST_STORY = 40


class Flow:
    def __init__(self, storm, door, number, crawls=False):
        self.storm, self.door, self.number = storm, door, number
        self.dice = random.Random(f"{storm.seed}/{number}")
        self.client_plan, self.target_plan = pair(self.dice, crawls)
        self.up, self.down = Stream(number, 0), Stream(number, 1)
        self.subject = door.subject
        self.born = self.last_move = time.monotonic()
        self.troubles = self.subject.troubles
        self.story = []
        self.client = self.target = None
        self.is_over = self.has_failed = self.was_refused = False
        self.port = None

    def start(self, connection, socks, is_connected=False):
        self.client = Side(
            self, "client", self.door.client_end, self.client_plan, self.up, self.down, connection)
        if is_connected:
            self.client.begin()
        else:
            self.client.opening = Opening(self.client, socks, self.dice.random() < 0.3)
            self.client.watch()

    def arrived(self, connection, head):
        """The connection came out at the target, and has said who it is."""
        self.target = Side(
            self, "target", self.door.target_end, self.target_plan, self.down, self.up, connection)
        self.target.received = head
        self.note("arrived at the target")
        self.moved()
        if self.client.closed and self.client.closed_at + 2 < self.last_move and not self.subject.asks_one_by_one \
                and not self.subject.was_frozen_since(self.born):
            self.fails("request of a client that had gone",
                       f"carried out {self.last_move - self.client.closed_at:.1f} s after the client had closed")
        self.target.begin()

    @property
    def is_calm(self):
        """Nothing was done to the path since before it began."""
        return self.subject.runs and self.subject.troubles == self.troubles and self.born > self.subject.trouble_until \
            and not self.subject.has_ceiling

    @property
    def is_honest(self):
        """Neither side breaks off, or closes before it has read to the end."""
        return self.client_plan.style in CLEAN and self.target_plan.style in CLEAN

    @property
    def is_broken_off(self):
        return self.client_plan.style in BREAKS or self.target_plan.style in BREAKS or any(
            side is not None and side.broke for side in (self.client, self.target))

    def moved(self):
        self.last_move = time.monotonic()

    def note(self, words):
        if len(self.story) < LONGEST_STORY:
            self.story.append(f"{time.monotonic() - self.born:8.3f} s  {words}")

    def fails(self, kind, words):
        self.has_failed = True
        self.storm.fail(kind, words, self)

    def refused(self, words):
        self.was_refused = True
        self.client.saw = "reset"
        self.client.end = "failed"
        self.storm.refused(self, words)
        self.client.close()

    def side_closed(self):
        if self.client.closed and (self.target is None or self.target.closed) and not self.is_over:
            self.storm.over(self)

    def abandon(self):
        for side in (self.client, self.target):
            if side is not None:
                side.abandon()

    def __str__(self):
        lines = [f"flow {self.number} through {self.door}", f"  {self.client}"]
        lines.append(f"  {self.target}" if self.target else "  never arrived at the target")
        lines += ["    " + line for line in self.story]
        # What culvert's own log has of it, by its client's port.
        if self.port:
            said = self.subject.stage.log(self.subject.name).splitlines()
            lines += ["    " + line for line in said if f":{self.port}:" in line or f":{self.port} " in line]
        return "\n".join(lines)
