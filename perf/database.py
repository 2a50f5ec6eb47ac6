"""A PostgreSQL of a script's own."""

import glob
import os
import pwd
import re
import signal

from common import Failed, eventually, free_port


class Database:
    """A private PostgreSQL; as root it runs as nobody, for it refuses to run as root."""

    def __init__(self, stage):
        places = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
        if not places:
            raise Failed("PostgreSQL is not installed: `make demo` installs it")
        self.bin, self.stage, self.port = places[-1], stage, free_port()
        home = stage.path("database")
        os.mkdir(home, 0o700)
        prefix = []
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(home, nobody.pw_uid, nobody.pw_gid)
            prefix = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
        own = {"HOME": home}
        stage.run(prefix + [f"{self.bin}/initdb", "-D", f"{home}/data", "-U", "demo", "-A", "trust", "--no-sync",
                            "--locale=C.UTF-8"], environment=own)
        child = stage.start(
            "postgres",
            prefix + [f"{self.bin}/postgres", "-D", f"{home}/data", "-p", str(self.port), "-k", home,
                      "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"], environment=own)
        child.last_signal = signal.SIGQUIT  # an immediate shutdown, which ends its children too
        eventually("PostgreSQL is ready", lambda: "ready to accept connections" in stage.log("postgres"), 30)
        self.run("pgbench", self.port, ["-i", "-q", "-s", "5", "postgres"])

    def run(self, name, port, arguments, timeout=120):
        return self.stage.run(
            [f"{self.bin}/{name}", "-h", "127.0.0.1", "-p", str(port), "-U", "demo"] + arguments, timeout=timeout)

    def transactions_a_second(self, port, clients, seconds):
        """Of pgbench's read-only work through `port`."""
        report = self.run(
            "pgbench", port,
            ["-S", "-n", "-c", str(clients), "-j", str(min(clients, 2)), "-T", str(seconds), "postgres"])
        if "number of failed transactions: 0 " not in report:
            raise Failed(f"pgbench had failed transactions:\n{report}")
        return float(re.search(r"tps = ([0-9.]+)", report).group(1))
