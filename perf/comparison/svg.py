"""SVG drawn by hand: bars with their spread, and lines over logarithmic axes. Self-contained, without scripts or fonts."""

import math
from xml.sax.saxutils import escape

FONT = "font-family='system-ui, sans-serif'"
INK, FAINT = "#222", "#ddd"
# By the beginning of a target's name, the longest first: relatives have one hue.
COLOURS = [
    ("culvert-libssh2", "#7fb0e8"), ("culvert-epoll", "#4f8fd9"), ("culvert-4-links", "#0b3c7d"), ("culvert", "#1463c2"),
    ("relay-epoll", "#52b3b3"), ("relay", "#0f7f86"), ("ssh-default", "#f0a35e"), ("ssh", "#d9640f"), ("autossh", "#f0a35e"),
    ("haproxy", "#2f8f4e"), ("nginx", "#6fb96a"), ("socat", "#a58ac9"), ("direct", "#8a8a8a"),
]


def colour(name):
    return next((value for prefix, value in COLOURS if name.startswith(prefix)), "#555")


def text(x, y, words, size=11, anchor="start", fill=INK, weight="normal"):
    return (f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor='{anchor}' fill='{fill}' "
            f"font-weight='{weight}'>{escape(str(words))}</text>")


def line(x1, y1, x2, y2, stroke=FAINT, width=1.0):
    return f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{stroke}' stroke-width='{width}'/>"


def drawing(width, height, parts):
    return (f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:.0f} {height:.0f}' width='{width:.0f}' "
            f"height='{height:.0f}' {FONT}>\n<rect width='100%' height='100%' fill='white'/>\n" + "\n".join(parts) + "\n</svg>\n")


BAR, GAP, LABELS, PANEL = 13, 3, 120, 260


def bars(title, scenario, number):
    """A scenario: a panel for each case and figure, in it a bar for each target. `number(value, figure)` writes values."""
    figures = [figure for figure in scenario.figures
               if any(figure.name in cell.values for cell in scenario.cells.values())]
    parts, y = [text(10, 22, title, 15, weight="bold")], 46
    for column, figure in enumerate(figures):
        words = f"{figure.name}, {figure.unit} ({figure.better} is better)"
        parts.append(text(LABELS + column * PANEL, y, words, 11, weight="bold"))
    y += 8
    for case in scenario.cases:
        names = [name for name in scenario.targets if (case, name) in scenario.cells]
        if not names:
            continue
        y += 18
        parts.append(text(10, y, case, 12, weight="bold"))
        y += 6
        for column, figure in enumerate(figures):
            most = max((scenario.cells[case, name].spread(figure.name)[1] for name in names
                        if figure.name in scenario.cells[case, name].values), default=0)
            for row, name in enumerate(names):
                top = y + row * (BAR + GAP)
                if column == 0:
                    parts.append(text(LABELS - 6, top + BAR - 3, name, 10, "end"))
                parts += bar(scenario.cells[case, name], figure, LABELS + column * PANEL, top, most, colour(name), number)
        y += len(names) * (BAR + GAP)
    return drawing(LABELS + len(figures) * PANEL + 10, y + 14, parts)


def bar(cell, figure, x, y, most, fill, number):
    """One bar, a line from the least to the most of the rounds, and the median in figures."""
    if figure.name not in cell.values:
        return [text(x, y + BAR - 3, "failed", 10, fill="#b00")] if cell.failed else []
    scale = (PANEL - 75) / most if most else 0
    low, high = (value * scale for value in cell.spread(figure.name))
    median = cell.median(figure.name)
    parts = [f"<rect x='{x:.1f}' y='{y:.1f}' width='{max(1, median * scale):.1f}' height='{BAR}' fill='{fill}'/>"]
    if high - low > 1:
        parts.append(line(x + low, y + BAR / 2, x + high, y + BAR / 2, "#000", 1.2))
    return parts + [text(x + max(high, median * scale) + 5, y + BAR - 3, number(median, figure), 10)]


WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 620, 380, 70, 140, 50, 50


def lines(title, x_title, y_title, series):
    """`series`: {name: [(x, y), ...]} with positive numbers; both axes are logarithmic."""
    points = [point for values in series.values() for point in values]
    if not points:
        return drawing(WIDTH, HEIGHT, [text(10, 22, title, 15, weight="bold"), text(10, 60, "nothing was measured")])
    x_axis = Axis([x for x, _ in points], LEFT, WIDTH - RIGHT)
    y_axis = Axis([y for _, y in points], HEIGHT - BOTTOM, TOP)
    parts = [text(10, 22, title, 15, weight="bold"), text(10, 40, y_title, 11)]
    for tick in x_axis.ticks():
        at = x_axis.at(tick)
        parts += [line(at, TOP, at, HEIGHT - BOTTOM), text(at, HEIGHT - BOTTOM + 16, short(tick), 10, "middle")]
    for tick in y_axis.ticks():
        at = y_axis.at(tick)
        parts += [line(LEFT, at, WIDTH - RIGHT, at), text(LEFT - 6, at + 4, short(tick), 10, "end")]
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_title, 11, "middle"))
    taken = []
    for name, values in sorted(series.items(), key=lambda item: item[1][-1][1] if item[1] else 0, reverse=True):
        if not values:
            continue
        places = [(x_axis.at(x), y_axis.at(y)) for x, y in values]
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f"<polyline points='{way}' fill='none' stroke='{colour(name)}' stroke-width='2'/>")
        parts += [f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3' fill='{colour(name)}'/>" for x, y in places]
        # Names stand beside the ends of their lines, and not on each other.
        at = max([places[-1][1] + 4] + [y + 13 for y in taken if y + 13 > places[-1][1] + 4])
        taken.append(at)
        parts.append(text(max(places[-1][0] + 8, WIDTH - RIGHT + 8), at, name, 11, fill=colour(name)))
    return drawing(WIDTH, HEIGHT, parts)


def short(value):
    for size, mark in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{mark}"
    return f"{value:g}"


class Axis:
    """From numbers to places, logarithmic. A single number stands in the middle."""

    def __init__(self, values, begin, end):
        self.low, self.high = math.log10(min(values)), math.log10(max(values))
        if self.high - self.low < 0.3:
            self.low, self.high = self.low - 0.3, self.high + 0.3
        self.begin, self.end = begin, end

    def at(self, value):
        return self.begin + (math.log10(value) - self.low) / (self.high - self.low) * (self.end - self.begin)

    def ticks(self):
        wanted = (1, 2, 5) if self.high - self.low < 2 else (1,)
        found = [factor * 10.0 ** power for power in range(math.floor(self.low), math.ceil(self.high) + 1)
                 for factor in wanted]
        return [tick for tick in found if self.low - 1e-9 <= math.log10(tick) <= self.high + 1e-9]
