"""What one side of a flow does, by dice."""

# How a side ends. half: it shuts its direction and reads the other to its end. answer: the same, but it speaks only
# when the other has ended. close: it shuts its direction and closes at once. both: it shuts both directions. reset: it
# breaks off with linger 0. unread: it closes while input lies unread, which the kernel makes a reset of. silent: gone
# before it has said a word.
STYLES = {"half": 52, "answer": 8, "close": 12, "both": 4, "reset": 11, "unread": 11, "silent": 2}
CLEAN = ("half", "answer")
BREAKS = ("reset", "unread", "silent")
# Seconds that the pauses of a writer come to.
LONGEST_SPEECH = 3.0
SIZES = (0, 1, 40, 300, 2_000, 20_000, 100_000, 100_000, 400_000, 1 << 20, 3 << 20)


class SidePlan:
    def __init__(self, dice, role, other=None):
        styles = dict(STYLES)
        if role == "target":
            del styles["silent"]
        if other is not None and other.style == "answer":
            del styles["answer"]
        self.style = dice.choices(list(styles), list(styles.values()))[0]
        self.size = dice.choice(SIZES)
        self.small_writes = dice.random() < 0.35
        if self.small_writes:
            # Packets of 1 to 300 bytes; how many leave without a pause between them.
            self.write_sizes = dice.choice([(1, 1), (1, 300), (200, 200), (100, 300)])
            self.burst = dice.choice([1, 20, 200])
            self.size = min(self.size, 600_000 if self.burst == 200 else 20_000)
        else:
            self.write_sizes = dice.choice([(1 << 20, 1 << 20), (1 << 16, 1 << 16), (1, 100_000)])
            self.burst = 4
        pieces = self.size / (sum(self.write_sizes) / 2 * self.burst)
        # Not for ever.
        self.write_pause = min(dice.choice([0, 0, 0, 0.002, 0.02]), LONGEST_SPEECH / (pieces + 1))
        self.read_size, self.read_pause = dice.choice(
            [(1 << 18, 0)] * 5 + [(4096, 0.001), (30_000, 0.01), (700, 0.002)])
        # (place in the stream, seconds)
        self.stalls = sorted(
            (dice.randrange(1 + dice.choice([1000, 100_000, 1 << 20])), dice.choice([0.05, 0.3, 1, 5]))
            for _ in range(dice.choice([0, 0, 0, 1, 3])))
        self.reads = True
        self.receive_buffer = dice.choice([None, None, None, 65536])
        self.send_buffer = dice.choice([None, None, None, 8192])
        # What a break waits for: bytes that came, or that went, and at the latest a time.
        self.breaks_after_bytes = dice.choice([1, 200, 5_000, 100_000, 1 << 20])
        self.breaks_after_seconds = dice.choice([0.002, 0.01, 0.02, 0.1, 0.5, 2])
        if self.style in ("reset", "unread") and dice.random() < 0.25:
            # Reads nothing, for ever.
            self.reads = False

    def __str__(self):
        low, high = self.write_sizes
        words = [f"{self.style}, sends {self.size} in pieces of {low} to {high}, {self.burst} at once"]
        if self.write_pause:
            words.append(f"pauses {self.write_pause:.4f} s")
        words.append(f"reads {self.read_size} every {self.read_pause} s" if self.reads else "never reads")
        if self.stalls:
            words.append(f"stalls at {self.stalls}")
        if self.style in BREAKS:
            words.append(f"breaks off after {self.breaks_after_bytes} bytes or {self.breaks_after_seconds} s")
        if self.receive_buffer or self.send_buffer:
            words.append(f"buffers {self.receive_buffer}, {self.send_buffer}")
        return "; ".join(words)


def chatty_download(dice):
    """Many small packets toward a client that breaks off in the middle of them: (client, target)."""
    client, target = SidePlan(dice, "client"), SidePlan(dice, "target")
    client.style, client.size, client.reads, client.stalls = dice.choice(["unread", "reset"]), 0, True, []
    client.breaks_after_bytes, client.breaks_after_seconds = 1 << 30, dice.choice([0.004, 0.01, 0.02, 0.05])
    target.style, target.size, target.write_pause, target.burst = "half", 600_000, 0, 200
    target.small_writes, target.write_sizes = True, dice.choice([(200, 200), (1, 300)])
    return client, target


def farewell(dice):
    """One side sends all and closes; the other says a word then, and reads on slowly: (client, target)."""
    sides = SidePlan(dice, "client"), SidePlan(dice, "target")
    speaker, listener = dice.sample(sides, 2)
    speaker.style, speaker.size, speaker.write_pause, speaker.small_writes = "close", 2 << 20, 0, False
    speaker.write_sizes, speaker.burst = (1 << 16, 1 << 16), 4
    speaker.reads, speaker.stalls = True, []
    listener.style, listener.size, listener.reads, listener.small_writes = "half", 300, True, True
    listener.write_sizes, listener.burst, listener.write_pause = (7, 7), 1, 0.1
    listener.read_size, listener.read_pause, listener.receive_buffer = 30_000, 0.01, 65536
    listener.stalls = [(1, 1.0)]
    return sides


def crawl(dice):
    """Much toward a reader that takes it at 200 kB/s, whose own direction ends at once: (client, target)."""
    sides = SidePlan(dice, "client"), SidePlan(dice, "target")
    writer, reader = dice.sample(sides, 2)
    writer.style, writer.size, writer.small_writes, writer.reads, writer.stalls = "half", 6 << 20, False, True, []
    writer.write_sizes, writer.burst, writer.write_pause = (1 << 16, 1 << 16), 4, 0
    reader.style, reader.size, reader.small_writes, reader.reads, reader.stalls = "half", 0, False, True, []
    reader.read_size, reader.read_pause, reader.receive_buffer = 8192, 0.04, 65536
    return sides


def pair(dice, crawls=False):
    """The plans of a flow: (client, target)."""
    if crawls:
        return crawl(dice)
    fate = dice.random()
    if fate < 0.15:
        return chatty_download(dice)
    if fate < 0.20:
        return farewell(dice)
    client = SidePlan(dice, "client")
    return client, SidePlan(dice, "target", client)
