"""What counts of instructions depend on besides culvert's sources."""

import platform
import re
import subprocess

from common import Failed

# What the libraries look at when they choose their code, as far as valgrind shows it to them.
FEATURES = ["aes", "avx", "avx2", "bmi2", "adx", "movbe", "pclmulqdq", "sha_ni", "ssse3"]


def command(*words):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(words)[:200]} …: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def circumstances():
    """Architecture, compiler, what the libraries see of the processor, and the libraries themselves."""
    flags = set()
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("flags"):
                flags = set(line.partition(":")[2].split())
                break
    version = command("swiftc", "--version")
    packages = command("dpkg-query", "-W", "-f", "${Package} ${Version}, ", "libc6", "libssl3", "valgrind",
                       *(["libipsec-mb1"] if platform.machine() == "x86_64" else []))
    return {
        "architecture": platform.machine(),
        "compiler": (re.search(r"Swift version \S+", version) or [version])[0],
        "processor": [feature for feature in FEATURES if feature in flags],
        "libraries": packages.rstrip(", "),
    }
