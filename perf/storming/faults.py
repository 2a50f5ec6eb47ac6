"""What is done to the path, by dice: to sshd, to its sessions, and to culvert itself."""

import contextlib
import os
import signal
import time

# What a phase with faults does, and how often. calm phases only ask for snapshots and let culvert rest for a moment.
WILD = {
    "sessions killed": 6, "sessions ended": 4, "one session killed": 3, "sessions frozen": 5,
    "sessions frozen, killed": 2, "sshd restarted": 3, "snapshot": 3, "culvert frozen": 4,
    "culvert ended": 2, "culvert ended twice": 1,
    "culvert killed": 1,
}
# Of a subject that has a process for libssh2.
WITH_CHILD = WILD | {"child killed": 6, "child frozen": 2}
CALM = {"snapshot": 2, "culvert frozen briefly": 3, "nothing": 3}
PLAIN = {"snapshot": 2, "culvert frozen": 3, "culvert ended": 1, "culvert ended twice": 1, "culvert killed": 1,
         "nothing": 3}
# How long a fault counts as the cause of what is found.
NEAR = 8.0
# culvert has so long to end by itself.
PATIENCE = 12.0


class Faults:
    """Does one thing after the other to a subject, until it is told to stop."""

    def __init__(self, storm, subject, weights):
        self.storm, self.subject, self.weights = storm, subject, weights
        self.dice = storm.dice
        self.stopped = self.is_ending = False
        self.last, self.last_at = "", 0.0
        self.crashes = 0

    def near(self):
        """For the label of what is found."""
        if not self.is_ending and not self.subject.runs:
            return ", as culvert died"
        return f", after '{self.last}'" if self.last and time.monotonic() - self.last_at < NEAR else ""

    def next(self):
        self.storm.loop.after(self.dice.uniform(0.5, 3.5), self.strike)

    def strike(self):
        if self.stopped:
            return
        if not self.is_ending:
            what = self.dice.choices(list(self.weights), list(self.weights.values()))[0]
            if what != "nothing":
                self.storm.faults[self.storm.group, what] += 1
                if what not in ("snapshot", "culvert frozen briefly"):
                    self.last, self.last_at = what, time.monotonic()
                self.does(what)
        self.next()

    def does(self, what):
        subject, servers = self.subject, self.subject.servers
        match what:
            case "snapshot" if subject.defers(signal.SIGUSR1):
                subject.child.send_signal(signal.SIGUSR1)
            case "snapshot":
                # It is being executed: until its first line every signal ends a program.
                pass
            case "culvert frozen briefly":
                # Shorter than any patience: no trouble.
                self.freeze_culvert(self.dice.uniform(0.01, 0.3))
            case "culvert frozen":
                seconds = self.dice.uniform(0.05, 3)
                subject.trouble(seconds, freezes=True)
                self.freeze_culvert(seconds)
            case "sessions killed" | "sessions ended":
                subject.trouble()
                number = signal.SIGKILL if what == "sessions killed" else signal.SIGTERM
                self.dice.choice(servers).signal_sessions(number)
            case "one session killed":
                subject.trouble()
                server = self.dice.choice(servers)
                sessions = server.sessions()
                server.signal_sessions(signal.SIGKILL, self.dice.sample(sessions, 1) if sessions else [])
            case "sessions frozen" | "sessions frozen, killed":
                seconds = self.dice.uniform(0.3, 5)
                subject.trouble(seconds, freezes=True)
                self.freeze_sessions(seconds, what != "sessions frozen")
            case "sshd restarted":
                seconds = self.dice.uniform(0.2, 2.5)
                subject.trouble(seconds)
                self.restart(self.dice.choice(servers), seconds)
            case "child killed":
                subject.trouble()
                self.signal_children(self.dice.choice([signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV]))
            case "child frozen":
                seconds = self.dice.uniform(0.05, 3)
                subject.trouble(seconds, freezes=True)
                self.signal_children(signal.SIGSTOP)
                self.storm.loop.after(seconds, lambda: self.signal_children(signal.SIGCONT))
            case "culvert ended" | "culvert ended twice" | "culvert killed":
                subject.trouble(3)
                self.end_culvert(what)

    def signal_children(self, number):
        for pid in self.subject.processes()[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def freeze_culvert(self, seconds):
        child = self.subject.child
        child.send_signal(signal.SIGSTOP)
        self.storm.loop.after(seconds, lambda: child.send_signal(signal.SIGCONT))

    def freeze_sessions(self, seconds, kills):
        server = self.dice.choice(self.subject.servers)
        sessions = server.sessions()
        server.signal_sessions(signal.SIGSTOP, sessions)

        def thaw():
            if kills:
                server.signal_sessions(signal.SIGKILL, sessions)
            server.signal_sessions(signal.SIGCONT, sessions)
        self.storm.loop.after(seconds, thaw)

    def restart(self, server, seconds):
        sessions = server.sessions()
        server.child.send_signal(signal.SIGTERM)
        if self.dice.random() < 0.7:
            server.signal_sessions(signal.SIGKILL, sessions)
        child = server.child
        self.storm.loop.after(seconds, lambda: (child.wait(), server.start()))

    # culvert's own end.

    def end_culvert(self, what):
        child = self.subject.child
        self.is_ending = True
        self.expected = {0}
        if what == "culvert killed":
            self.expected = {-signal.SIGKILL}
            child.send_signal(signal.SIGKILL)
        else:
            child.send_signal(signal.SIGTERM)
        if what == "culvert ended twice":
            second = self.dice.choice([signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
            # The second one ends it at once; which of them is the second is the kernel's to say where both wait.
            self.expected = {0, 128 + second, -second, 128 + signal.SIGTERM, 255}
            self.storm.loop.after(self.dice.uniform(0, 0.3), lambda: child.poll() is None and child.send_signal(second))
        self.wait_end(time.monotonic() + PATIENCE)

    def wait_end(self, deadline):
        child = self.subject.child
        if child.poll() is None:
            if time.monotonic() > deadline:
                self.storm.fail("culvert does not end", f"{PATIENCE} s after SIGTERM\n{self.subject.log_end()}")
                os.kill(child.pid, signal.SIGKILL)
                child.wait()
                self.begin_again()
            else:
                self.storm.loop.after(0.05, lambda: self.wait_end(deadline))
        elif child.returncode not in self.expected:
            self.storm.fail("culvert ended wrongly", f"exit status {child.returncode}\n{self.subject.log_end()}")
            self.begin_again()
        else:
            self.begin_again()

    def begin_again(self):
        self.subject.trouble(2)
        self.subject.start()
        self.is_ending = False

    def look(self):
        """Whether culvert runs, or ends because it was told to. One that ended by itself is a finding, and is started
        again, a few times."""
        child = self.subject.child
        if self.is_ending or child.poll() is None:
            return True
        self.storm.fail(
            f"culvert died with {child.returncode}", f"by itself\n{self.subject.log_end()}", crash_story(self))
        self.crashes += 1
        if self.crashes >= 5:
            return False
        self.last, self.last_at = "culvert died", time.monotonic()
        self.begin_again()
        return True


def crash_story(faults):
    """What had just happened when it died."""
    lines = []
    flows = sorted(faults.storm.flows.values(), key=lambda flow: -flow.last_move)[:3]
    for flow in flows:
        lines += ["  one of the flows that moved last:", str(flow)]
    return "\n".join(lines)
