"""Programs that people use: redis-benchmark, pgbench, wrk."""

import re

from common import Failed

from ..figures import Figure
from .base import Scenario, each

# Requests of redis-benchmark in a second of the plan, by its connections: about what ssh carries in that time.
REDIS = {1: 12_000, 50: 40_000}
TRANSACTIONS = re.compile(r"number of transactions actually processed: (\d+)")


class Clients(Scenario):
    backs = ("redis", "database", "web")
    figures = (
        Figure("rate", "requests/s", 0, "more"),
        Figure("client CPU", "µs/request", 2, "less"),
        Figure("sshd CPU", "µs/request", 2, "less"),
    )

    def __init__(self, name, family):
        super().__init__(name, family, "Programs of others, " + {"tunnel": "through SSH", "plain": "plain TCP"}[family])
        self.notes = ["redis-benchmark -t get -d 100; pgbench -S, a request is a transaction; wrk, keep-alive, and with a"
                      " connection for each request (close)."]
        without = {"culvert-chacha20", "culvert-ctr", "culvert-default", "ssh-chacha20", "ssh-ctr", "ssh-default"}
        self.targets = [target for target in self.targets if target not in without]

    def cases(self, plan):
        if plan.quick:
            return ["redis, c = 50", "pgbench, c = 1", "wrk, c = 50"]
        return ["redis, c = 1", "redis, c = 50", "pgbench, c = 1", "pgbench, c = 32", "wrk, c = 50", "wrk close, c = 8"]

    def measure(self, plan, running, case, servers):
        program, _, count = case.partition(", c = ")
        runs = {"redis": self.redis, "pgbench": self.pgbench, "wrk": self.wrk, "wrk close": self.wrk_close}
        (rate, _), used = each(
            running, lambda found: found[1], lambda: runs[program](plan, running, int(count), servers))
        return {"rate": rate} | used

    def redis(self, plan, running, count, servers):
        total = int(REDIS[count] * plan.seconds)
        output = servers.stage.run(
            ["redis-benchmark", "-p", str(running.doors["redis"][1]), "-t", "get", "-d", "100", "-c", str(count), "-n",
             str(total), "--csv"], timeout=plan.seconds * 10 + 20)
        rows = [line for line in output.splitlines() if line.startswith('"GET"')]
        if not rows:
            raise Failed("redis-benchmark printed no figure")
        return float(rows[0].split(",")[1].strip('"')), total

    def pgbench(self, plan, running, count, servers):
        database = servers.database
        report = database.run(
            "pgbench", running.doors["database"][1],
            ["-S", "-n", "-c", str(count), "-j", "1" if count == 1 else "2", "-T", str(max(1, round(plan.seconds))),
             "postgres"], timeout=plan.seconds + 30)
        done = TRANSACTIONS.search(report)
        if not done or "number of failed transactions: 0 " not in report:
            raise Failed("pgbench had failed transactions")
        return float(re.search(r"tps = ([0-9.]+)", report).group(1)), int(done.group(1))

    def wrk(self, plan, running, count, servers, headers=()):
        host, port = running.doors["web"]
        output = servers.stage.run(
            ["wrk", "-t1", f"-c{count}", f"-d{max(1, round(plan.seconds))}s", *headers, f"http://{host}:{port}/"],
            timeout=plan.seconds + 30)
        total = next((int(line.split()[0]) for line in output.splitlines() if " requests in " in line), 0)
        rate = next((float(line.split()[1]) for line in output.splitlines() if line.startswith("Requests/sec:")), 0)
        if total == 0 or "Non-2xx" in output or "Socket errors" in output:
            raise Failed("wrk was not answered rightly: " + " ".join(output.split()[-40:]))
        return rate, total

    def wrk_close(self, plan, running, count, servers):
        return self.wrk(plan, running, count, servers, ["-H", "Connection: close"])
