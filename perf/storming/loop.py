"""One thread's descriptors and timers."""

import heapq
import itertools
import select
import time


SLOW = 0.5


class Loop:
    """Handlers are called with the events of their descriptor; timers once, when they are due."""

    def __init__(self):
        self.poll = select.epoll()
        self.handlers = {}
        self.masks = {}
        self.timers = []
        self.order = itertools.count()
        # When it last found that nothing of it had run for SLOW seconds, and the longest such time.
        self.stalled_at = self.longest = 0.0
        self.turned_at = time.monotonic()

    def watch(self, descriptor, mask, handler):
        """Whoever wants nothing is not watched at all: an end or an error would be told for ever."""
        before = self.masks.get(descriptor, 0)
        if mask == before:
            return
        if mask == 0:
            self.forget(descriptor)
            return
        if before:
            self.poll.modify(descriptor, mask)
        else:
            self.poll.register(descriptor, mask)
        self.masks[descriptor] = mask
        self.handlers[descriptor] = handler

    def forget(self, descriptor):
        if self.masks.pop(descriptor, 0):
            self.poll.unregister(descriptor)
            del self.handlers[descriptor]

    def after(self, seconds, call):
        heapq.heappush(self.timers, (time.monotonic() + seconds, next(self.order), call))

    def turn(self, patience=0.05):
        now = time.monotonic()
        if self.timers:
            patience = max(0.0, min(patience, self.timers[0][0] - now))
        ready = self.poll.poll(patience)
        self.note_stall(patience)
        for descriptor, events in ready:
            handler = self.handlers.get(descriptor)
            if handler:
                handler(events)
        now = time.monotonic()
        while self.timers and self.timers[0][0] <= now:
            heapq.heappop(self.timers)[2]()

    def note_stall(self, patience):
        """On a machine that is busy with something else, times say nothing."""
        now = time.monotonic()
        late = now - self.turned_at - patience
        self.turned_at = now
        if late > SLOW:
            self.stalled_at = now
            self.longest = max(self.longest, late)

    def run(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.turn()
