"""Checks of OpenSSH's scripts that no tunnel can take, each with its reason."""

import re

# Of which script, which call, why.
LEFT_OUT = []


def reason_for(script, call, faults):
    for name, pattern, reason in LEFT_OUT:
        if re.fullmatch(name, script) and re.search(pattern, call):
            return reason
    return None
