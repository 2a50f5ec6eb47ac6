"""The law of ends, as far as both ends of a flow can see it.

A clean end (FIN) that a reader sees says that every byte which the writer sent before its own clean end was delivered.
Judged is every end that culvert makes: `made_by` of the reader is "culvert". What stock sshd makes at its own sockets
of CLOSE, of a lost link and of a reset is counted apart, and so are Unix sockets, which know no reset; but where
nothing was done to the path and nobody reset anything, bytes may not be missing there either.
"""

CULVERT, SSHD, UNIX, PIPE = "culvert", "sshd", "Unix socket", "culvert -W"
LIE = "clean end that lied"
LOST = "bytes lost without a cause"
CUT = "cut without a cause"


def judge(flow, reader):
    """(what it is counted as, (kind of failure, words) or None) of the end that `reader` has just seen."""
    if reader.saw == "reset":
        return judge_reset(flow)
    writer = reader.other
    sent = writer.sent if writer else 0
    is_whole = writer is not None and writer.end == "fin" and reader.received == sent
    if is_whole:
        return "clean and whole", None
    end = writer.end if writer else "never there"
    words = (f"the {reader.name} saw a clean end after {reader.received} bytes; the other side had sent {sent}"
             f" and its direction was: {end}")
    if reader.made_by in (UNIX, PIPE):
        return f"cut short, {reader.made_by}", None
    if reader.made_by == SSHD and writer is not None and writer.made_by == PIPE:
        # Its exit code says whether this end was a clean one.
        return "cut short, sshd's end", None
    if reader.made_by == SSHD:
        if flow.is_calm and not flow.is_broken_off:
            return "cut short, sshd's end", (LOST, words)
        return "cut short, sshd's end", None
    if writer is not None and writer.broke and writer.made_by in (SSHD, UNIX):
        # sshd tells a reset of its own socket as EOF.
        return "sshd's word for a reset", None
    if writer is not None and writer.saw == "self" and writer.made_by == SSHD and reader.received < sent:
        # It closed while the other side still spoke, which its kernel answers with a reset.
        return "sshd's word for an early close", None
    return "lie", (LIE, words)


def judge_reset(flow):
    if flow.is_broken_off:
        return "reset, one side broke off", None
    if not flow.is_calm:
        return "cut by a fault or the ceiling", None
    if flow.is_honest and not flow.has_failed:
        return "cut without a cause", (CUT, "both sides ended cleanly and nothing was done to the path")
    return "reset after a close", None


def judge_pipe(flow, status, log):
    """Of `culvert -W`: status 0 is its clean end, both ways. `log`: what it said."""
    client, target = flow.client, flow.target
    if status != 0:
        # Half a minute without a word of the server's, whose kernel may hold megabytes for a slow target.
        is_given_up = status == 255 and "cut short: the server did not close what was over" in log
        if flow.is_calm and not is_given_up and not any(side and side.broke for side in (client, target)):
            return f"-W ended with {status}", (CUT, f"-W ended with {status} and nothing was done to the path: {log}")
        return "-W gave up" if is_given_up else f"-W ended with {status}", None
    if client.broke or (target is not None and target.broke):
        return "-W ended with 0, one side broke off", None
    if target is None:
        return "lie", (LIE, "-W ended with 0 and its stream never arrived")
    missing = []
    if client.saw == "fin" and not (target.end == "fin" and client.received == target.sent):
        missing.append(f"the client got {client.received} of {target.sent} bytes (target's direction: {target.end})")
    if target.saw == "fin" and not (client.end == "fin" and target.received == client.sent):
        missing.append(f"the target got {target.received} of {client.sent} bytes (client's direction: {client.end})")
    if missing:
        return "lie", (LIE, "-W ended with 0: " + ", ".join(missing))
    return "-W ended with 0, whole", None
