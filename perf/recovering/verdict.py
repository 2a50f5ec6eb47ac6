"""What perf/recovery makes of what it measured: whether culvert is first or equal, and its table."""

from comparison import markdown
from comparison.figures import KIND_OF_RECOVERY, Figure, Scenario
from comparison.promises import FAILS, HOLDS, LEAST_ROUNDS, NOT_JUDGED

from .client import AUTOSSH, CULVERT
from .network import REFUSED_FROM, SPAN
from .scene import PATIENCE

BACK, AWAY, GIVEN_UP, SYNS, LOGINS, REFUSED = "back after", "away", "given up", "SYNs", "logins", "refused"
DENSEST = f"SYNs in {SPAN} s"
FIGURES = [
    Figure(BACK, "s", 1, "less"), Figure(AWAY, "s", 1, "less"), Figure(GIVEN_UP, "", 0, "less"),
    Figure(SYNS, "", 0, "less"), Figure("connections", "", 0, "less"), Figure(DENSEST, "", 0, "less"),
    Figure(LOGINS, "", 0, "less"), Figure(REFUSED, "", 0, "less"),
]
# Within so much of the other's time culvert counts as equal: seconds, or a share, whichever is more.
EQUAL_SECONDS, EQUAL_SHARE = 2, 1.2


def new_results(rows):
    """An empty scenario for those rows."""
    return Scenario(
        KIND_OF_RECOVERY, "How long a tunnel is away", AUTOSSH, FIGURES, [row.title for row in rows], [CULVERT, AUTOSSH],
        ["back after: seconds from when a new ssh would get through until a new connection was served; away: from the "
         f"fault; {DENSEST}: the most that left in any such time; refused: how many of those that reached the server its "
         "limiter refused, or would have refused"])


def met_rounds(cell):
    """In how many rounds a limiter refused a SYN or would have: at the server, or in front of a path that was cut."""
    return sum(1 for refused, densest in zip(cell.values[REFUSED], cell.values[DENSEST])
               if refused or densest >= REFUSED_FROM)


def complaints(row, scenario):
    """Why a row fails, as sentences; empty: it holds. Judged are medians, and a limiter that was met in any round."""
    ours, others = (scenario.cells.get((row.title, target)) for target in (CULVERT, AUTOSSH))
    if not ours or not others or ours.failed or others.failed or not ours.values or not others.values:
        return ["it was not measured"]
    found = []
    back, other = ours.median(BACK), others.median(BACK)
    if back > max(other + EQUAL_SECONDS, other * EQUAL_SHARE):
        found.append(f"culvert was back after {back:.1f} s, autossh after {other:.1f} s")
    if row.most is not None and back > row.most:
        found.append(f"culvert was back after {back:.1f} s, promised are {row.most:.0f} s")
    if any(ours.values[GIVEN_UP]):
        found.append(f"culvert was not back within {PATIENCE} s in {sum(ours.values[GIVEN_UP]):.0f} of {len(ours.values[BACK])} rounds")
    met = met_rounds(ours)
    if met:
        found.append(f"culvert met the limit of {REFUSED_FROM - 1} SYNs in {SPAN} s in {met} of {len(ours.values[REFUSED])} rounds")
    return found


def judged(rows, scenario):
    """A row of `Results.checks` for each. Fewer rounds than three are not judged, unless something could not be measured."""
    checks = []
    for row in rows:
        found = complaints(row, scenario)
        cell = scenario.cells.get((row.title, CULVERT))
        rounds = len(cell.values.get(BACK, ())) if cell else 0
        verdict = HOLDS if not found else FAILS
        if rounds < LEAST_ROUNDS and found != ["it was not measured"]:
            verdict = NOT_JUDGED
        checks.append({"name": row.title, "found": "; ".join(found), "promised": "first or equal", "verdict": verdict})
    return checks


def seconds(cell):
    """The median and the least and the most."""
    if cell is None or BACK not in cell.values:
        return markdown.FAILED if cell and cell.failed else markdown.NOT_MEASURED
    if cell.median(GIVEN_UP):
        return f"not in {PATIENCE}"
    least, most = cell.spread(BACK)
    return f"{cell.median(BACK):.1f} ({least:.1f}–{most:.1f})"


def count(cell, figure):
    return markdown.NOT_MEASURED if cell is None or figure not in cell.values else f"{cell.median(figure):.0f}"


def met(cell):
    if cell is None or REFUSED not in cell.values:
        return markdown.NOT_MEASURED
    rounds = met_rounds(cell)
    return f"{rounds} of {len(cell.values[REFUSED])}" if rounds else "no"


def table(scenario, checks):
    verdicts = {check["name"]: check["verdict"] for check in checks}
    head = ["fault", "culvert: back after, s", "autossh", "SYNs", "autossh", "logins", "autossh", "limit met", "autossh", ""]
    lines = []
    for case in scenario.cases:
        cells = [scenario.cells.get((case, target)) for target in (CULVERT, AUTOSSH)]
        lines.append([case, *map(seconds, cells), *(count(cell, SYNS) for cell in cells),
                      *(count(cell, LOGINS) for cell in cells), *map(met, cells), verdicts.get(case, NOT_JUDGED)])
    return markdown.table(head, lines)


def whole(results):
    """Everything that the file holds."""
    scenario = results.scenario(KIND_OF_RECOVERY)
    parts = ["# culvert beside autossh: coming back", markdown.about_text(results), table(scenario, results.checks)]
    return "\n\n".join(parts + found(results))


def found(results):
    """What does not hold, and what failed: a list in one paragraph, or none."""
    scenario = results.scenario(KIND_OF_RECOVERY)
    complained = [f"- {check['name']}: {check['found']}" for check in results.checks if check["found"]]
    failures = [f"- FAILED{f' {times} times' if times > 1 else ''}: {target}, {case}: {words}"
                for case, target, words, times in scenario.failures()]
    return ["\n".join(complained + failures)] if complained or failures else []


def for_readme(results, stem):
    """What README.md shows of it."""
    return "\n\n".join([
        # The command has a line of its own: its options are no other program's.
        f"**Coming back, beside autossh**, {results.about['rounds']} rounds: `{results.about['command']}` on "
        f"{results.about['date']},\nculvert as it comes and autossh {results.about['versions']['autossh']} with "
        "`AUTOSSH_GATETIME=0 -M 0` and ServerAliveInterval 15; a client tries a new connection each second. Seconds are "
        "medians (the least–the most) from when a new ssh would get through until a new connection is served. SYNs on the "
        f"wire and logins are counted from the fault; *limit met*: in how many rounds more than {REFUSED_FROM - 1} SYNs left "
        f"in {SPAN} s. *holds*: culvert is first or equal (within {EQUAL_SECONDS} s or 20 %) and never meets the limit. All "
        f"values: `perf/report perf/results/{stem}.json`.",
        table(results.scenario(KIND_OF_RECOVERY), results.checks), *found(results)])
