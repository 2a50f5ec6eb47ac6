"""The part of README.md that shows the newest results: made from their files, between two marks, and never by hand."""

import os

from common import ROOT, Failed
from recovering import verdict

from . import figures, markdown, plots, promises

BEGIN, END = "<!-- made by perf/report --readme -->", "<!-- end of what perf/report made -->"
RESULTS = os.path.join(ROOT, "perf", "results")

# Of each table: its title, and (heading, scenario, case, figure) for its columns.
TABLES = [
    ("Through SSH, on loopback", [
        ("up, GB/s", "streams", "up, 1 flow", "rate"),
        ("down, GB/s", "streams", "down, 1 flow", "rate"),
        ("4 up", "streams", "up, 4 flows", "rate"),
        ("4 down", "streams", "down, 4 flows", "rate"),
        ("CPU s/GB, up", "streams", "up, 1 flow", "client CPU"),
        ("CPU s/GB, down", "streams", "down, 1 flow", "client CPU"),
        ("requests/s, c = 50", "requests", "c = 50", "rate"),
        ("CPU µs a request", "requests", "c = 50", "client CPU"),
    ]),
    ("Many connections, outages and programs of others, through SSH", [
        ("connections/s, c = 8", "churn", "c = 8", "rate"),
        ("1000 opened in, s", "idle", "1000 idle", "opened in"),
        ("request beside 1000 idle, µs", "idle", "1000 idle", "active p50"),
        ("KB a connection", "idle", "1000 idle", "client memory"),
        ("link killed: first byte after, s", "outage", "sshd's process killed", "until the first byte"),
        ("pgbench -S, c = 1, tps", "clients", "pgbench, c = 1", "rate"),
        ("redis GET, c = 50, /s", "clients", "redis, c = 50", "rate"),
        ("VNC, screens/s", "vnc", "one viewer", "rate"),
    ]),
    ("1 Gbit/s, 100 ms, and 50 Mbit/s, 40 ms with 1 MB of queue", [
        ("1 Gbit/s: 1 up, Mbit/s", "link-long", "1 up", "rate"),
        ("1 down", "link-long", "1 down", "rate"),
        ("4 up", "link-long", "4 up", "rate"),
        ("4 down", "link-long", "4 down", "rate"),
        ("50 Mbit/s: request beside 1 up, p50 ms", "link-slow", "1 up", "request p50"),
        ("p99 ms", "link-slow", "1 up", "request p99"),
        ("beside 1 down, p50 ms", "link-slow", "1 down", "request p50"),
        ("p99 ms", "link-slow", "1 down", "request p99"),
    ]),
    ("Plain TCP, on loopback", [
        ("up, GB/s", "relay-streams", "up, 1 flow", "rate"),
        ("down, GB/s", "relay-streams", "down, 1 flow", "rate"),
        ("CPU s/GB, up", "relay-streams", "up, 1 flow", "client CPU"),
        ("CPU s/GB, down", "relay-streams", "down, 1 flow", "client CPU"),
        ("requests/s, c = 50", "relay-requests", "c = 50", "rate"),
        ("CPU µs a request", "relay-requests", "c = 50", "client CPU"),
        ("connections/s, c = 8", "relay-churn", "c = 8", "rate"),
    ]),
]


def newest(directory=RESULTS, kind=figures.KIND_OF_COMPARISON):
    """The path of the newest results of a kind; None where there are none."""
    found = []
    for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
        if name.endswith(".json"):
            results = figures.Results.read(os.path.join(directory, name))
            if results.kind == kind:
                found.append((results.about["date"], name))
    return os.path.join(directory, max(found)[1]) if found else None


def table(results, columns):
    """None where nothing of it was measured."""
    columns = [(heading, results.scenario(scenario), case, figure) for heading, scenario, case, figure in columns
               if results.scenario(scenario) and case in results.scenario(scenario).cases]
    names = dict.fromkeys(name for _, scenario, case, _ in columns for name in scenario.targets
                          if (case, name) in scenario.cells)
    if not names:
        return None
    rows = [[name] + [text(scenario, case, name, figure) for _, scenario, case, figure in columns] for name in names]
    return markdown.table([""] + [heading for heading, *_ in columns], rows)


def rounds(results, columns):
    """Of a table's medians."""
    counts = {len(cell.values.get(figure, ())) for _, scenario, case, figure in columns if results.scenario(scenario)
              for (known, _), cell in results.scenario(scenario).cells.items() if known == case} - {0}
    count = " to ".join(str(each) for each in sorted({min(counts), max(counts)})) if counts else "no"
    return f"{count} round{'' if count == '1' else 's'}"


def text(scenario, case, name, figure):
    of = next(each for each in scenario.figures if each.name == figure)
    return markdown.cell_text(scenario, case, name, of, spread=False)


def scaling(path, root):
    """How cost grows with connections: ({path of a plot: its SVG}, text with links to them from `root`)."""
    results = figures.Results.read(path)
    folder = path.removesuffix(".json")
    drawn = {os.path.join(folder, name): picture for name, (scenario, picture) in plots.drawn(results).items()
             if scenario == "scaling-flows"}
    links = "\n".join(f"![{results.scenario('scaling-flows').title}]({os.path.relpath(plot, root)})" for plot in drawn)
    stem = os.path.basename(folder)
    text = f"**As connections grow**, {results.about['rounds']} round{'s' if results.about['rounds'] != 1 else ''}: " \
           f"`{results.about['command']}`; the figures, and those of more links and threads: `perf/report perf/results/{stem}.json`."
    return drawn, f"{text}\n\n{links}"


def block(path, more=()):
    """What stands between the marks for the results in that file, or for none; `more` are texts about other results."""
    if path is None:
        return "\n\n".join([BEGIN, "No comparison is recorded yet: `make perf` makes one.", *more, END])
    results = figures.Results.read(path)
    stem = os.path.basename(path).removesuffix(".json")
    parts = [
        BEGIN,
        f"{markdown.about_text(results)}",
        "Medians of the rounds; × the ratio to ssh, in the last table to haproxy, in the same run. CPU is the client's "
        f"alone. All figures with their spread: `perf/report perf/results/{stem}.json`.",
        "; ".join(markdown.described(results)) + "."]
    for title, columns in TABLES:
        made = table(results, columns)
        if made:
            parts += [f"**{title}**, {rounds(results, columns)}", made]
    judged = [row for row in results.checks if row["verdict"] != promises.NOT_JUDGED]
    broken = [row for row in judged if row["verdict"] == promises.FAILS]
    failures = sum(count for scenario in results.scenarios for *_, count in scenario.failures())
    if judged:
        parts.append(f"{len(judged) - len(broken)} of the {len(judged)} ratios that culvert promises held in this run"
                     + ("; these did not:\n\n" + "\n".join(
                         f"- {row['name']}: {'not measured' if row['found'] is None else row['found']}, promised "
                         f"{row['promised']}" for row in broken) if broken else "."))
    if failures:
        parts.append(f"{failures} measurements failed.")
    return "\n\n".join([*parts, *more, END])


def content_of(path):
    """None where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def replaced(document, new):
    """The document with the block between its marks."""
    begin, end = document.find(BEGIN), document.find(END)
    if begin < 0 or end < begin or document.count(BEGIN) != 1:
        raise Failed(f"README.md has not the marks {BEGIN} and {END}, once and in this order")
    return document[:begin] + new + document[end + len(END):]


def update(readme, results=RESULTS, check=False):
    """Puts the newest results into the document at `readme`, and their plots beside them; with `check` only looks whether
    they are there."""
    path = newest(results)
    grown = newest(results, figures.KIND_OF_SCALING)
    drawn, more = {}, []
    recovery = newest(results, figures.KIND_OF_RECOVERY)
    if recovery:
        stem = os.path.basename(recovery).removesuffix(".json")
        more.append(verdict.for_readme(figures.Results.read(recovery), stem))
    if grown:
        drawn, growth = scaling(grown, os.path.dirname(os.path.abspath(readme)))
        more.append(growth)
    with open(readme, encoding="utf-8") as file:
        document = file.read()
    wanted = {readme: replaced(document, block(path, more)), **drawn}
    for name, content in wanted.items():
        if not check:
            os.makedirs(os.path.dirname(os.path.abspath(name)), exist_ok=True)
            with open(name, "w", encoding="utf-8") as file:
                file.write(content)
        elif content_of(name) != content:
            shown = os.path.basename(path) if path else "that there are no results"
            raise Failed(f"{os.path.basename(name)} does not show {shown}: `perf/report --readme` mends that")
