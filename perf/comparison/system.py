"""Where a run was made and with what: the class of the machine and the versions of the programs, but no name and no path."""

import datetime
import os
import re
import subprocess

CONGESTION = "/proc/sys/net/ipv4/tcp_congestion_control"


def said(command):
    """What a program prints about itself, on either output; empty where there is no such program."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


# How each program is asked for its version, and where in the answer it stands.
ASKED = {
    "OpenSSH": (["ssh", "-V"], r"OpenSSH_(\S+?),? "),
    "autossh": (["autossh", "-V"], r"autossh (\S+)"),
    "haproxy": (["haproxy", "-v"], r"version (\d[\d.]*)"),
    "nginx": (["/usr/sbin/nginx", "-v"], r"nginx/(\S+)"),
    "socat": (["socat", "-V"], r"socat version (\S+)"),
    "redis": (["redis-server", "--version"], r"v=(\S+)"),
    "PostgreSQL": (["psql", "--version"], r"\(PostgreSQL\) (\S+)"),
    "wrk": (["wrk", "-v"], r"wrk (?:debian/)?(\S+)"),
    "TigerVNC": (["Xtigervnc", "-version"], r"TigerVNC (\d\S+)"),
}


def versions(culvert):
    found = {}
    for name, (command, pattern) in ({"culvert": ([culvert, "--version"], r"culvert (\S+)")} | ASKED).items():
        match = re.search(pattern, said(command))
        found[name] = match.group(1) if match else "not there"
    return found


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    return os.uname().machine


def memory():
    """GiB, rounded."""
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30)


def machine_class():
    """What a results file is called after: enough to tell kinds of machine apart, not machines."""
    model = re.sub(r"[^a-z0-9]+", "-", processor().lower().replace("(r)", "").replace("(tm)", "")).strip("-")
    return f"{os.cpu_count()}x-{model}"


def repeatable(words):
    """The words of a command that say what is measured, not where the file goes."""
    return [word for index, word in enumerate(words)
            if not word.startswith("--output") and (index == 0 or words[index - 1] != "--output")]


def about(command, culvert):
    """`command`: the words after which this can be had again."""
    with open(CONGESTION, encoding="ascii") as file:
        congestion = file.read().strip()
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "machine": {
            "class": machine_class(), "cores": os.cpu_count(), "processor": processor(), "memory GiB": memory(),
            "kernel": re.match(r"[\d.]*\d", os.uname().release).group(), "congestion control": congestion,
            "load before": round(os.getloadavg()[0], 2),
        },
        "versions": versions(culvert),
        "command": command,
    }
