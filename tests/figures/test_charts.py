"""Charts: round ticks, points where they belong, names that cannot break a page."""

import re
from xml.etree import ElementTree

import pytest

from pixelprior.figures.charts import (
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    histogram,
    line_chart,
    style,
    ticks,
)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (83.2, 91.7, [84, 86, 88, 90]),
        (-3, 3, [-2, 0, 2]),
        (5, 5, [5]),
        (0, 1500, [0, 500, 1000, 1500]),
    ],
)
def test_ticks(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def points(svg):
    return [
        [tuple(map(float, point.split(","))) for point in line.split()]
        for line in re.findall(r'<polyline points="([^"]*)"', svg)
    ]


def test_points_lie_where_they_belong():
    svg = line_chart({"a": [(0, 2.2), (50, 2.1), (100, 2.0)], "b": []}, "steps", "nats")
    ElementTree.fromstring(svg)
    [[first, middle, last]] = points(svg)
    assert first == (LEFT, TOP) and last[0] == WIDTH - RIGHT
    assert middle == pytest.approx(((first[0] + last[0]) / 2, (first[1] + last[1]) / 2))


def test_where_training_begins_does_not_take_the_picture():
    svg = line_chart({"a": [(0, 500.0), (50, 2.2), (100, 2.0)]}, "steps", "nats")
    [[first, middle, last]] = points(svg)
    assert first[1] < 0 and TOP < middle[1] < last[1] < HEIGHT


def test_all_of_it_on_request():
    svg = line_chart({"a": [(0, 500.0), (50, 2.2), (100, 2.0)]}, "x", "y", whole=True)
    [[first, _, last]] = points(svg)
    assert first == (LEFT, TOP) and last[1] < HEIGHT


def test_nothing_to_draw():
    assert line_chart({}, "x", "y") == line_chart({"a": []}, "x", "y") == ""
    # A single point, and values that are all the same.
    ElementTree.fromstring(line_chart({"a": [(0, 1.0)], "b": [(0, 1.0)]}, "x", "y"))


def test_names_are_escaped():
    svg = line_chart({"<script>": [(0, 1.0), (1, 2.0)]}, "a & b", 'c"d')
    ElementTree.fromstring(svg)
    assert "<script>" not in svg
    ElementTree.fromstring(histogram([1], '<"&'))


def test_styles_differ():
    assert len({style(number) for number in range(32)}) == 32


def test_histograms_are_ordered():
    svg = histogram([0, 6, 3], "codes")
    [corners] = re.findall(r'<polygon points="([^"]*)"', svg)
    heights = [90 - float(corner.split(",")[1]) for corner in corners.split()[1:-1:2]]
    assert heights == pytest.approx([86, 43, 0])
