"""SVG charts for an HTML page.

Text uses the colour of the page, and lines use its variables ``--c0``, ``--c1``, and so on. Charts
are readable on light and dark pages, and need no other files.
"""

import math
from collections.abc import Mapping, Sequence

from pixelprior.system.printable import html_text

NUM_COLOURS = 8  # number of variables that the page must define
DASHES = ("", "7 4", "2 4", "9 3 2 3")  # one per cycle of the colours of lines
WIDTH, HEIGHT = 380, 250  # as wide as a phone, so that text is not scaled down there
LEFT, RIGHT, TOP, BOTTOM = 66, 14, 12, 44


def style(number: int) -> tuple[str, str]:
    """Colour and dashes of the line with a number."""
    colours, dashes = number % NUM_COLOURS, number // NUM_COLOURS % len(DASHES)
    return f"var(--c{colours})", DASHES[dashes]


def line_chart(
    lines: Mapping[str, Sequence[tuple[float, float]]],
    x_label: str,
    y_label: str,
    *,
    whole: bool = False,
) -> str:
    """Draw lines through points. The place of a line in ``lines`` determines its style.

    Args:
        lines: the (x, y) points of each line, by name. Lines without points are left out.
        x_label: the label of the horizontal axis, which begins at 0.
        y_label: the label of the vertical axis.
        whole: show all points. By default, high starts of lines are cut off if they would fill most
            of the picture, as in learning curves.
    """
    shown = {name: line for name, line in lines.items() if line}
    if not shown:
        return ""
    ends = [line[-1][1] for line in shown.values()]
    ys = [y for line in shown.values() for _, y in line]
    low = min(ys)
    high = max(ys)
    if not whole:
        high = min(high, max(ends) + max(2 * (max(ends) - low), 0.15 * abs(max(ends)), 1e-12))
    high = high if high > low else low + (abs(low) or 1.0)
    right = max(x for line in shown.values() for x, _ in line) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + x / right * (WIDTH - LEFT - RIGHT)
        return across, TOP + (high - y) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{html_text(y_label)} over {html_text(x_label)}">'
    ]
    for value in ticks(low, high):
        _, y = place(0, value)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>'
        )
    for value in ticks(0, right):
        x, y = place(value, low)
        parts.append(
            f'<text x="{x:.1f}" y="{y + 20:.1f}" text-anchor="middle">{_short(value)}</text>'
        )
    for number, (name, line) in enumerate(lines.items()):
        if not line:
            continue
        colour, dashes = style(number)
        points = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in line)
        x, y = place(*line[-1])
        parts.append(
            f"<g><title>{html_text(name)}</title>"
            f'<polyline points="{points}" style="stroke:{colour}" stroke-dasharray="{dashes}"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" style="fill:{colour}"/></g>'
        )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">'
        f"{html_text(x_label)}</text>"
        f'<text transform="translate(12 {middle}) rotate(-90)" text-anchor="middle">'
        f"{html_text(y_label)}</text></svg>"
    )
    return "".join(parts)


def histogram(counts: Sequence[int], label: str) -> str:
    """Draw counts as bars, the largest first, to show how evenly codes are used.

    Args:
        counts: at least one count.
        label: the text below the bars.
    """
    ordered = sorted(counts, reverse=True)
    height, width = 90, 300
    most, wide = max(ordered[0], 1), width / len(ordered)
    points = [f"0,{height}"]
    for number, count in enumerate(ordered):
        y = height - count / most * (height - 4)
        points += [f"{number * wide:.2f},{y:.1f}", f"{(number + 1) * wide:.2f},{y:.1f}"]
    points.append(f"{width},{height}")
    return (
        f'<svg class="histogram" viewBox="0 0 {width} {height + 16}" role="img" '
        f'aria-label="{html_text(label)}"><polygon points="{" ".join(points)}"/>'
        f'<text x="0" y="{height + 13}">{html_text(label)}</text></svg>'
    )


def ticks(low: float, high: float) -> list[float]:
    """Four to nine round values between ``low`` and ``high``."""
    rough = (high - low) / 5
    if not rough > 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
