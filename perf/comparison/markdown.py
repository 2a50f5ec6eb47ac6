"""Results as Markdown that also a terminal shows well: a table for each figure of each scenario."""

from . import targets

FAILED = "failed"
NOT_MEASURED = "–"


def table(head, rows, left=1):
    """Columns of equal width; the first `left` stand to the left."""
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in [head] + rows]
    widths = [max(3, *(len(row[index]) for row in cells)) for index in range(len(head))]

    def line(row):
        return "| " + " | ".join(
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths))) + " |"

    rule = "|" + "|".join(
        "-" * (width + 2) if index < left else "-" * (width + 1) + ":" for index, width in enumerate(widths)) + "|"
    return "\n".join([line(cells[0]), rule] + [line(row) for row in cells[1:]])


def number(value, figure):
    digits = figure.digits
    # What is small against the digits of its column gets more of them.
    while 0 < abs(value) < 10 ** -digits * 10 and digits < 6:
        digits += 1
    return f"{value:,.{digits}f}".replace(",", " ")


def cell_text(scenario, case, target, figure, spread=True):
    """The median, its ratio to the baseline's, and the least and the most."""
    cell = scenario.cells.get((case, target))
    if cell is None or figure.name not in cell.values:
        return FAILED if cell and cell.failed else NOT_MEASURED
    words = [number(cell.median(figure.name), figure)]
    if target != scenario.baseline:
        ratio = scenario.ratio(case, target, figure.name, scenario.baseline)
        if ratio is not None:
            words.append(f"×{ratio:.2f}")
    if spread and len(cell.values[figure.name]) > 1:
        words.append(f"({'–'.join(number(each, figure) for each in cell.spread(figure.name))})")
    if cell.failed:
        words.append(f"{len(cell.failed)} {FAILED}")
    return " ".join(words)


def scenario_text(scenario, level="##"):
    parts = [f"{level} {scenario.title}"]
    if scenario.notes:
        parts.append("\n".join(f"- {note}" for note in scenario.notes))
    for figure in scenario.figures:
        shown = [target for target in scenario.targets
                 if any(figure.name in cell.values or cell.failed
                        for (_, name), cell in scenario.cells.items() if name == target)]
        if not shown:
            continue
        rows = [[target] + [cell_text(scenario, case, target, figure) for case in scenario.cases] for target in shown]
        parts.append(table([f"{figure.name}, {figure.unit}"] + scenario.cases, rows))
    failures = scenario.failures()
    if failures:
        parts.append("\n".join(
            f"- FAILED{f' {count} times' if count > 1 else ''}: {target}, {case}: {words}"
            for case, target, words, count in failures))
    return "\n\n".join(parts)


def about_text(results):
    about, machine = results.about, results.about["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    # The command has a line of its own: its options are no other program's.
    return (
        f"`{about['command']}` on {about['date']}:\n"
        f"{machine['cores']} x {machine['processor']}, {machine['memory GiB']} GiB, Linux {machine['kernel']}, TCP "
        f"{machine['congestion control']}, load {machine['load before']} before;\n{versions}."
        + (f"\nLeft out: {about['left out']}." if "left out" in about else ""))


def described(results):
    """What each target is."""
    names = dict.fromkeys(name for scenario in results.scenarios for name in scenario.targets)
    return [f"*{name}*: {targets.TARGETS[name].about}" for name in names if name in targets.TARGETS]


def whole(results, pictures=()):
    """Everything that the file holds. `pictures`: {scenario: paths}."""
    parts = ["# culvert beside others", about_text(results),
             "Medians over the rounds, × the ratio to the scenario's baseline, (the least–the most of the rounds).",
             "\n".join(f"- {words}" for words in described(results))]
    for scenario in results.scenarios:
        parts.append(scenario_text(scenario))
        parts += [f"![{scenario.title}]({path})" for path in dict(pictures).get(scenario.name, [])]
    if results.checks:
        parts.append("## What is promised\n\n" + table(
            ["ratio of medians", "found", "promised", ""],
            [[row["name"], "–" if row["found"] is None else f"{row['found']:.2f}", row["promised"], row["verdict"]]
             for row in results.checks]))
    return "\n\n".join(parts)
