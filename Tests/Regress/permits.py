"""Lets a client reach the command server, whatever PermitOpen and permitopen say in a script's files.

What stands for a session must not be forbidden with the forwards.
"""

import os
import re

LINES = re.compile(r"(?im)^(\s*PermitOpen\s)(?!\s*(?:any|none)\b)")


def address():
    with open(os.environ["CULVERT_REGRESS_COMMANDS"], encoding="ascii") as file:
        return file.read()


def rewrite(source, target, change):
    try:
        with open(source, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
    except OSError:
        return
    changed = change(text)
    if changed != text or source != target:
        with open(target, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(changed)


def configuration(source, target):
    """Writes a copy of an sshd_config."""
    own = address()
    rewrite(source, target, lambda text: LINES.sub(lambda found: found[1] + own + " ", text))


def keys(directory):
    """Changes the authorized keys of a directory; again and again with the same result."""
    own = re.escape(address())
    option = re.compile(r'(?m)^((?:(?!permitopen=).)*)permitopen="(?!%s)' % own)
    for name in os.listdir(directory):
        if name.startswith("authorized_keys_"):
            path = os.path.join(directory, name)
            rewrite(path, path, lambda text: option.sub(r'\1permitopen="%s",permitopen="' % address(), text))
