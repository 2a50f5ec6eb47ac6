"""The plots of a file of results."""

import os

from . import markdown, svg


def drawn(results):
    """{file name: (the scenario's name, SVG)}"""
    found = {}
    for scenario in results.scenarios:
        if not any(cell.values for cell in scenario.cells.values()):
            continue
        if scenario.name.startswith("scaling"):
            for index, figure in enumerate(scenario.figures):
                found[f"{scenario.name}-{index + 1}.svg"] = (scenario.name, curve(scenario, figure))
        else:
            found[f"{scenario.name}.svg"] = (scenario.name, svg.bars(scenario.title, scenario, markdown.number))
    return found


def curve(scenario, figure):
    """Over the numbers that the cases are named by."""
    series = {}
    for target in scenario.targets:
        values = [(float(case.split()[0]), scenario.median(case, target, figure.name)) for case in scenario.cases]
        series[target] = [(x, y) for x, y in values if y]
    x_title = scenario.cases[-1].split()[-1]
    return svg.lines(scenario.title, x_title, f"{figure.name}, {figure.unit}", {k: v for k, v in series.items() if v})


def written(results, directory):
    """Writes them; {the scenario's name: paths}."""
    os.makedirs(directory, exist_ok=True)
    paths = {}
    for name, (scenario, picture) in drawn(results).items():
        path = os.path.join(directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(picture)
        paths.setdefault(scenario, []).append(path)
    return paths
