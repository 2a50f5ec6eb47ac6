"""Runs of culvert-load, and the processor time that a target took meanwhile."""

import json
import subprocess

from common import Failed

from .servers import generator

# Beyond the time that a run is asked to take: connecting, and the last bytes of the slowest.
PATIENCE = 20


def report(command, seconds, cpu=None, patience=PATIENCE):
    """The JSON that a run prints; whatever it found wrong is a failure."""
    if cpu is not None:
        command = ["taskset", "-c", str(cpu)] + command
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds + patience, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"not done {patience:g} s after its time") from None
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise Failed(f"culvert-load: {(done.stderr.strip() or 'no report').splitlines()[0].removeprefix('culvert-load: ')}") from None
    errors = [f"{count} {kind.replace('_', ' ')}" for part in found.get("parts", [found])
              for kind, count in part["errors"].items() if count]
    if errors:
        raise Failed(", ".join(errors))
    if done.returncode != 0:
        raise Failed(f"culvert-load ended with exit code {done.returncode}")
    return found


def words(workload, address, seconds, warmup, options=()):
    host, port = address
    return [generator(), *workload, f"{host}:{port}", "--duration", f"{round(seconds * 1000)}ms", "--warmup",
            f"{round(warmup * 1000)}ms", "--json", *map(str, options)]


def loaded(running, server, workload, seconds, warmup, options=(), patience=PATIENCE):
    """A run through a target: (report, the target's processor seconds, those of its sshd or None) of the measured time."""
    options = list(options)
    if running.cpu is not None:
        options += ["--threads", 1]
    if not running.pids_are_stable:
        before = running.cpu_seconds()
        found = report(words(workload, running.doors[server], seconds, 0, options), seconds, running.cpu,
                       patience)
        return found, running.cpu_seconds() - before, None
    clients, sessions = running.client_pids(), running.session_pids()
    watched = [word for pid in clients + sessions for word in ("--watch-pid", pid)]
    found = report(words(workload, running.doors[server], seconds, warmup, options + watched), seconds + warmup, running.cpu,
                   patience)
    used = {each["pid"]: each.get("cpu_s") for each in found["watched"]}
    if None in used.values():
        raise Failed("one of its processes ended meanwhile")
    return (found, sum(used[pid] for pid in clients) if clients else None,
            sum(used[pid] for pid in sessions) if sessions else None)
