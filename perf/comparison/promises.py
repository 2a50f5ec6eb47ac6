"""What culvert promises beside others, as ratios of medians of one run; whether they hold."""

import dataclasses

# Four links may cost this much more a GB than one and still count as no worse: what two runs of one differ by.
TIE = 1.05
# Fewer rounds than this show a ratio, but prove nothing.
LEAST_ROUNDS = 3
HOLDS, FAILS, NOT_JUDGED = "holds", "FAILS", "not judged"


@dataclasses.dataclass(frozen=True)
class Promise:
    """`target`'s median of `figure` in `case`, divided by `other`'s (by nothing where there is none), is at most, or at
    least, `limit`."""

    scenario: str
    case: str
    figure: str
    target: str
    other: str
    relation: str
    limit: float

    @property
    def name(self):
        return f"{self.scenario}, {self.case}: {self.figure}, {self.target}" + (f" to {self.other}" if self.other else "")

    @property
    def targets(self):
        return [name for name in (self.target, self.other) if name]


def tunnels():
    limits = {
        ("culvert", "ssh"): (0.45, 0.60), ("culvert-chacha20", "ssh-chacha20"): (0.50, 0.50),
        ("culvert-default", "ssh-default"): (0.30, 0.30),
    }
    for pair, (up, down) in limits.items():
        for way, limit in (("up", up), ("down", down)):
            yield Promise("streams", f"{way}, 1 flow", "client CPU", *pair, "<=", limit)
            yield Promise("streams", f"{way}, 1 flow", "rate", *pair, ">=", 1.0)
    yield Promise("requests", "c = 50", "client CPU", "culvert", "ssh", "<=", 0.5)
    for way in ("up", "down"):
        yield Promise("streams", f"{way}, 4 flows", "client CPU", "culvert-4-links", "culvert", "<=", TIE)
        yield Promise("streams", f"{way}, 4 flows", "balance", "culvert-4-links", None, ">=", 0.25)


def relays():
    for way in ("up", "down"):
        for peer in ("haproxy", "socat"):
            yield Promise("relay-streams", f"{way}, 1 flow", "rate", "relay", peer, ">=", 1.0)
        yield Promise("relay-streams", f"{way}, 1 flow", "client CPU", "relay", "haproxy", "<=", 0.6)
    yield Promise("relay-requests", "c = 50", "client CPU", "relay", "haproxy", "<=", 1.0)


def links():
    # The lossy link is shown and not judged: a dozen losses decide what a stream carries, and two runs of one program
    # differ by half.
    for scenario in ("link-long", "link-slow"):
        for case in ("1 up", "1 down", "4 up", "4 down"):
            yield Promise(scenario, case, "rate", "culvert", "ssh", ">=", 0.9)
        for case in ("1 up", "1 down"):
            for figure in ("request p50", "request p99"):
                yield Promise(scenario, case, figure, "culvert", "ssh", "<=", 1.25)


PROMISES = [*tunnels(), *relays(), *links()]


def judged(scenarios):
    """A row for each promise of the scenarios and targets that were measured. A median of too few rounds is not judged."""
    rows = []
    by_name = {scenario.name: scenario for scenario in scenarios}
    for promise in PROMISES:
        scenario = by_name.get(promise.scenario)
        if not scenario or not set(promise.targets) <= set(scenario.targets) or promise.case not in scenario.cases:
            continue
        if promise.other:
            ratio = scenario.ratio(promise.case, promise.target, promise.figure, promise.other)
        else:
            ratio = scenario.median(promise.case, promise.target, promise.figure)
        row = {"name": promise.name, "found": None if ratio is None else round(ratio, 3),
               "promised": f"{promise.relation} {promise.limit}"}
        if ratio is None:
            row["verdict"] = FAILS
        elif rounds(scenario, promise) < LEAST_ROUNDS:
            row["verdict"] = NOT_JUDGED
        else:
            holds = ratio >= promise.limit if promise.relation == ">=" else ratio <= promise.limit
            row["verdict"] = HOLDS if holds else FAILS
        rows.append(row)
    return rows


def rounds(scenario, promise):
    """That both have values of."""
    return min(len(scenario.cells[promise.case, name].values[promise.figure]) for name in promise.targets)
