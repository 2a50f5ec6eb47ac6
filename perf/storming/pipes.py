"""`culvert -W` runs: standard input and output are one end of a socket pair, whose other end is a flow's client."""

import os
import socket
import subprocess

from .judge import judge_pipe


class Pipes:
    """One run at a time."""

    def __init__(self, storm, subject):
        self.storm, self.subject = storm, subject
        self.child = self.flow = None
        self.count = 0

    def begin(self):
        subject = self.subject
        if self.child is not None:
            return
        ours, theirs = socket.socketpair()
        self.count += 1
        self.log = subject.stage.path(f"{subject.name}-pipe.log")
        with open(self.log, "ab") as log:
            self.log_start = log.tell()
            self.child = subprocess.Popen(
                subject.login + ["-W", f"127.0.0.1:{subject.port('direct')}", subject.place],
                stdin=theirs, stdout=theirs, stderr=log, start_new_session=True,
                env=dict(os.environ, SSH_AUTH_SOCK="", HOME=subject.stage.directory,
                         CULVERT_HOME=subject.stage.directory))
        theirs.close()
        # Ended with the stage, too.
        self.child.name, self.child.log = "pipe", self.log
        subject.stage.children.append(self.child)
        self.flow = self.storm.begin(subject.pipe, ours, crawls=self.count == 1 or self.storm.dice.random() < 0.35)
        self.storm.loop.after(0.1, self.look)

    def look(self):
        """When it has ended and both sides have seen what there is to see, it is judged."""
        flow, child = self.flow, self.child
        if child.poll() is None or any(side is not None and side.saw is None for side in (flow.client, flow.target)):
            if child.poll() is None and flow.is_over and flow.target is not None:
                # It has nothing more to carry.
                self.patience = getattr(self, "patience", 0) + 1
                if self.patience > 450:
                    flow.fails("hang", "culvert -W still runs 45 s after both sides have closed")
                    child.kill()
            self.storm.loop.after(0.1, self.look)
            return
        self.patience = 0
        with open(self.log, encoding="utf-8", errors="replace") as log:
            log.seek(self.log_start)
            said = log.read()[-600:]
        what, failure = judge_pipe(flow, child.returncode, said)
        self.storm.count_end(what)
        if child.returncode == 70 or child.returncode < 0:
            flow.fails(f"culvert -W died with {child.returncode}", said)
        elif failure and not flow.has_failed:
            flow.fails(*failure)
        self.subject.stage.children.remove(child)
        self.child = None
