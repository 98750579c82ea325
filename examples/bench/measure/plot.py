"""Plots as SVG, without anything to install: bars beside each other, and lines over a growing number."""

import math
from html import escape

WIDTH, ROW, LEFT, RIGHT, TOP = 800, 22, 350, 80, 44
COLOURS = ("#3465a4", "#cc7a00", "#4e9a06", "#a40000", "#75507b")
PLOT_HEIGHT = 320


def svg(width, height, parts):
    size = f'viewBox="0 0 {width} {height}" width="{width}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    return "\n".join([head, f'<rect width="{width}" height="{height}" fill="white"/>', *parts, "</svg>\n"])


def words(x, y, text, anchor="start", size=12, weight="normal"):
    look = f'text-anchor="{anchor}" font-size="{size}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(str(text))}</text>'


def stroke(points, colour, dash=""):
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5" stroke-dasharray="{dash}"/>'


def short(value):
    """A number in three digits, with thousands apart."""
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def bars(title, found, mark=None, longest=None):
    """Horizontal bars: `found` is [(label, value, whether it stands out)]; `mark` draws a line at a
    value, and a bar is drawn as `longest` at most, whatever is printed beside it."""
    most = min(max([value for _, value, _ in found] + [mark or 0]) or 1, longest or math.inf)
    height = TOP + ROW * len(found) + 12
    wide = WIDTH - LEFT - RIGHT
    parts = [words(12, 24, title, size=14, weight="bold")]
    for number, (label, value, ours) in enumerate(found):
        y = TOP + ROW * number
        length = wide * min(value, most) / most
        parts += [
            words(LEFT - 8, y + 14, label, "end"),
            words(LEFT + length + 6, y + 14, short(value)),
            f'<rect x="{LEFT}" y="{y + 3}" width="{length:.1f}" height="{ROW - 8}" fill="{COLOURS[0] if ours else "#babdb6"}"/>',
        ]
    if mark:
        x = LEFT + wide * mark / most
        parts.append(stroke([(x, TOP - 6), (x, height - 8)], COLOURS[3], "4 3"))
    return svg(WIDTH, height, parts)


def ticks(low, high):
    """Powers of ten that hold all of it."""
    return [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def lines(title, across, series):
    """Lines on logarithmic axes; `series` is [(label, [(x, y)])]."""
    points = [(x, y) for _, found in series for x, y in found if x > 0 and y > 0]
    if not points:
        return svg(WIDTH, TOP, [words(12, 24, title + ": nothing was measured")])
    xs, ys = (
        ticks(min(x for x, _ in points), max(x for x, _ in points)),
        ticks(min(y for _, y in points), max(y for _, y in points)),
    )
    if len(xs) == 1:
        xs.append(xs[0] * 10)
    if len(ys) == 1:
        ys.append(ys[0] * 10)
    left, wide, bottom = 80, WIDTH - 240, TOP + PLOT_HEIGHT

    def place(x, y):
        return (
            left + wide * math.log10(x / xs[0]) / math.log10(xs[-1] / xs[0]),
            bottom - PLOT_HEIGHT * math.log10(y / ys[0]) / math.log10(ys[-1] / ys[0]),
        )

    parts = [words(12, 24, title, size=14, weight="bold"), words(left + wide / 2, bottom + 38, across, "middle")]
    for x in xs:
        at, _ = place(x, ys[0])
        parts += [stroke([(at, TOP), (at, bottom)], "#dddddd"), words(at, bottom + 18, short(x), "middle")]
    for y in ys:
        _, at = place(xs[0], y)
        parts += [stroke([(left, at), (left + wide, at)], "#dddddd"), words(left - 8, at + 4, short(y), "end")]
    for number, (label, found) in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        placed = [place(x, y) for x, y in found if x > 0 and y > 0]
        parts += [
            stroke(placed, colour),
            *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in placed),
        ]
        parts.append(
            f'<text x="{left + wide + 12}" y="{TOP + 14 + 18 * number}" fill="{colour}">{escape(label)}</text>'
        )
    return svg(WIDTH, bottom + 52, parts)
