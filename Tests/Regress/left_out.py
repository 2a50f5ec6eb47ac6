"""Checks of OpenSSH's scripts that no tunnel can take, or that a tunnel does otherwise on purpose, each with its reason."""

import re

# Of which script; what stands in the call or in what the script said of it; why.
LEFT_OUT = [
    ("dhgex", r".", "it reads ssh's own log of the group's size (GroupExchangeTests have the sizes that are asked for)"),
    (
        "connection-timeout",
        r"ssh unexpectedly present",
        "a tunnel stays when an unused connection is closed, and makes it again when a connection comes",
    ),
    ("hostkey-agent", r"HostKeyAlgorithms=ssh-rsa-cert-v01", "RSA with SHA-1"),
    ("connection-timeout", r"missing result file", "it needs a session over the master's socket"),
    ("multiplex", r".", "it needs sessions over the master's socket"),
]


def reason_for(script, call, faults):
    for name, pattern, reason in LEFT_OUT:
        if name == script and re.search(pattern, "\n".join([call] + faults)):
            return reason
    return None
