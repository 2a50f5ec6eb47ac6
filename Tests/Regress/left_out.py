"""Checks of OpenSSH's scripts that no tunnel can take, or that a tunnel does otherwise on purpose, each with its reason."""

import re

# Of which script; what stands in its words for a part of it, in the call, or in what it said against that; why.
LEFT_OUT = [
    ("dhgex", r".", "it reads ssh's own log of the group's size (GroupExchangeTests have the sizes that are asked for)"),
    (
        "connection-timeout",
        r"ssh unexpectedly present",
        "a tunnel stays when an unused connection is closed, and makes it again when a connection comes",
    ),
    ("cert-userkey", r"force-command|command=false", "the server runs the command in a session"),
    # Of the algorithms of such a key the server takes ssh-rsa* alone, which are those with SHA-1.
    ("cert-userkey", r"^certified user keys: rsa ", "RSA with SHA-1"),
    (
        "cert-hostkey",
        r"(empty principals|cert valid interval) failed unexpectedly",
        "a certificate for no principal in particular is for nobody, as since OpenSSH 10",
    ),
    ("hostkey-agent", r"HostKeyAlgorithms=ssh-rsa(-cert-v01@openssh.com)? ", "RSA with SHA-1"),
    ("banner", r"banner size 10{3,5} mismatch", "a banner's first lines are shown, and that there are more"),
    ("connection-timeout", r"missing result file", "it needs a session over the master's socket"),
    ("multiplex", r".", "it needs sessions over the master's socket"),
]


def reason_for(script, section, call, faults):
    for name, pattern, reason in LEFT_OUT:
        if name == script and re.search(pattern, "\n".join([section, call] + faults)):
            return reason
    return None
