"""A time of storm over one subject: its level before, the storm, and whether it comes back to that level."""

import json
import socket
import subprocess
import time

from .faults import Faults
from .judge import UNIX
from .pipes import Pipes

# Patience at a phase's end, in seconds: for the way to come back, for flows to end, without progress of one, and
# for descriptors and threads to be as many as before.
RECOVERY, DRAIN, STANDSTILL, LEVEL = 60.0, 60.0, 20.0, 40.0
# A flow that has moved within this moves.
STILL = 5.0
# What a subject may have more than at the beginning: rings and blocks that were used once stay its own.
RESIDENT_GROWTH_MB = 48.0
IDLE_SECONDS, IDLE_CPU = 1.5, 0.08


class Limits:
    """How much goes on at once, and how long is waited."""

    def __init__(self, flows=90, starts_a_second=40, standstill=STANDSTILL, level=LEVEL):
        self.flows, self.starts_a_second, self.standstill, self.level = flows, starts_a_second, standstill, level


class Phase:
    def __init__(self, storm, subject, weights, seconds, limits=Limits(), load=None):
        self.storm, self.subject, self.weights, self.seconds = storm, subject, weights, seconds
        self.limits, self.load, self.standstill = limits, load, limits.standstill

    def run(self):
        storm, subject = self.storm, self.subject
        storm.drains = False
        subject.wait_ready()
        faults = Faults(storm, subject, self.weights)
        storm.on_fault = faults.near
        self.warm()
        while not subject.runs and faults.look():
            subject.wait_ready()
            self.warm()
        before = subject.measure()
        faults.next()
        pipes = Pipes(storm, subject) if getattr(subject, "pipe", None) else None
        load = self.load.begin(self.seconds) if self.load else None
        lives = self.blow(faults, pipes)
        faults.stopped = True
        if lives:
            self.settle(faults, before, pipes, load)
        elif load:
            load.child.kill()
        for flow in list(storm.flows.values()):
            flow.abandon()
        storm.forget_gone()
        storm.on_fault = lambda: ""

    def warm(self):
        """Every door carries something first, so that the level is that of a program in use."""
        for door in self.subject.doors * 2:
            self.storm.begin(door)
        self.storm.loop.run(0.5)
        self.storm.drain()
        self.wait_flows(DRAIN)
        self.storm.drains = False
        self.storm.loop.run(0.3)

    def blow(self, faults, pipes):
        storm, dice = self.storm, self.storm.dice
        end = time.monotonic() + self.seconds
        due = time.monotonic()
        next_pipe = due
        while time.monotonic() < end:
            storm.loop.turn()
            if not faults.look():
                return False
            now = time.monotonic()
            while due <= now:
                due += dice.expovariate(self.limits.starts_a_second)
                if len(storm.flows) < self.limits.flows and not faults.is_ending:
                    storm.begin(dice.choice(self.subject.doors))
            if pipes and now >= next_pipe:
                pipes.begin()
                next_pipe = now + 2
            self.look_for_standstill()
        return True

    def look_for_standstill(self):
        """A flow that gets nowhere though both sides want to, and though nothing was done to the path for long."""
        now = time.monotonic()
        if now < max(self.subject.trouble_until, self.storm.loop.stalled_at + self.standstill):
            return
        for flow in list(self.storm.flows.values()):
            if now - flow.last_move > self.standstill and not any(
                    side is not None and (side.read_paused or not side.plan.reads)
                    for side in (flow.client, flow.target)):
                flow.fails("hang", f"no progress for {self.standstill:.0f} s")
                flow.abandon()

    def settle(self, faults, before, pipes, load):
        """Everything ends, and the subject is again what it was."""
        storm, subject = self.storm, self.subject
        deadline = time.monotonic() + RECOVERY
        while faults.is_ending or not self.probe():
            storm.loop.run(0.2)
            if not faults.look():
                return
            if time.monotonic() > deadline:
                storm.fail("no way back", f"{RECOVERY:.0f} s after the last fault a new connection still does not pass"
                           f" through {self.silent_door}\n{subject.log_end()}")
                return
        storm.drain()
        self.wait_flows(DRAIN)
        storm.loop.run(0.5)
        deadline = time.monotonic() + 60
        while pipes and pipes.child is not None and time.monotonic() < deadline:
            storm.loop.run(0.1)
        if load:
            load.judge(storm, subject)
        self.compare(faults, before)

    def wait_flows(self, seconds):
        deadline = time.monotonic() + seconds
        while self.storm.flows and time.monotonic() < deadline:
            self.storm.loop.turn()
            now = time.monotonic()
            for flow in list(self.storm.flows.values()):
                if now - flow.last_move > self.standstill and now > self.subject.trouble_until:
                    flow.fails("hang", f"no progress for {self.standstill:.0f} s while everybody reads and ends")
                    flow.abandon()
        for flow in list(self.storm.flows.values()):
            # One that still moves is only slow: thousands of pieces of a byte, on a machine that has other things to do.
            if time.monotonic() - flow.last_move > STILL:
                flow.fails("hang", "flows do not end")
            else:
                self.storm.count_end("given up by the storm while it moved")
            flow.abandon()

    def compare(self, faults, before):
        storm, subject = self.storm, self.subject
        after, wrong = None, ["?"]
        deadline = time.monotonic() + self.limits.level
        # A lost link's successor, or its predecessor, may still be on its way out.
        while wrong and time.monotonic() < deadline:
            storm.loop.run(0.3)
            if not faults.look():
                return
            after = subject.measure()
            wrong = [f"{name}: {before[name]:.0f}, now {after[name]:.0f}" for name in before
                     if after[name] > before[name] + (RESIDENT_GROWTH_MB if name == "resident MB" else 0)]
        for words in wrong:
            storm.fail(f"leak of {words.split(':')[0]}", f"{words}\n{subject.log_end()}")
        if not faults.look():
            return
        cpu = subject.cpu()
        storm.loop.run(IDLE_SECONDS)
        used = subject.cpu() - cpu
        if used > IDLE_CPU:
            storm.fail("busy while idle", f"{used:.2f} s of processor time in {IDLE_SECONDS} s")
        if not self.probe():
            storm.fail("no way back", f"a new connection does not pass through {self.silent_door}")

    def probe(self):
        """Whether a connection through each door arrives and is answered."""
        storm = self.storm
        for door in self.subject.doors:
            self.silent_door = door
            if door.family == socket.AF_UNIX or door.kind == UNIX:
                continue
            if not Probe(storm, door).passes():
                return False
        return True


class Probe:
    """A flow of its own kind: it only has to arrive, and to end whole both ways."""

    def __init__(self, storm, door):
        self.storm, self.door = storm, door

    def passes(self, patience=4.0):
        flow = self.storm.begin(self.door)
        for plan in (flow.client_plan, flow.target_plan):
            plan.style, plan.size, plan.reads, plan.stalls = "half", 100, True, []
            plan.write_pause = plan.read_pause = 0
        flow.is_probe = True
        flow.client.size = 100 + len(flow.up.head)
        flow.client.stalls = []
        # Nothing is said about those that the path still has no room for.
        flow.troubles = -1
        deadline = time.monotonic() + patience
        while not flow.is_over and time.monotonic() < deadline:
            self.storm.loop.turn()
        passed = flow.is_over and flow.target is not None and flow.client.saw == flow.target.saw == "fin"
        if not flow.is_over:
            flow.abandon()
        return passed


class Load:
    """culvert-load beside the storm, through the same doors, with its own checking."""

    def __init__(self, stage, program, port, server):
        """`port` is a door that leads to `server`, a `culvert-load serve`."""
        self.stage, self.program, self.port, self.server = stage, program, port, server
        self.child = None

    def begin(self, seconds):
        self.child = subprocess.Popen(
            [self.program, "mix", f"127.0.0.1:{self.port}", "--part", "request --connections 4 --rate 60", "--part",
             "churn --connections 4 --rate 10", "--part",
             "request --connections 2 --rate 10 --response-size uniform:1:300000", "--duration",
             f"{max(2, int(seconds) - 3)}s", "--timeout", "30s", "--json"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.child.name, self.child.log = "load", "/dev/null"
        self.stage.children.append(self.child)
        return self

    def judge(self, storm, subject):
        if self.server.poll() is not None:
            storm.fail("culvert-load's far end died", f"exit status {self.server.returncode}")
        try:
            output, errors = self.child.communicate(timeout=45)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            storm.fail("hang", "culvert-load does not end")
            return
        finally:
            self.stage.children.remove(self.child)
        if self.child.returncode not in (0, 1):
            # A path that cannot be had at the beginning.
            storm.count_end("culvert-load did not run")
            if subject.troubles == 0:
                storm.fail("culvert-load failed", errors[-500:])
            return
        parts = [json.loads(output)] if "parts" not in output else json.loads(output)["parts"]
        for part in parts:
            troubles = part.get("errors", {})
            for kind, count in troubles.items():
                if count and kind == "mismatch":
                    storm.fail("wrong byte", f"culvert-load: {errors[-800:]}")
                elif count and subject.troubles == 0 and not subject.has_ceiling:
                    storm.fail("culvert-load failed", f"{kind}: {count}; {errors[-800:]}")
            storm.ends[storm.group, "answers of culvert-load, checked"] += int(part.get("answers", 0))
