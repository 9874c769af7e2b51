"""Count the data that a compiled program exchanges between devices."""

import math
import re
from collections import Counter
from collections.abc import Mapping

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")

_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "f32": 4, "s32": 4, "u32": 4, "f64": 8}
_COMMENT = re.compile(r"/\*.*?\*/")
_COMPUTATION = re.compile(r"^(ENTRY )?%([\w.-]+) .*\{$")
_COLLECTIVE = re.compile(rf"= (\(?[^=]*?\)?) ({'|'.join(KINDS)})(?:-start)?\(")
_ARRAY = re.compile(r"([a-z]\w*)\[([\d,]*)\]")
_CALL = re.compile(r"(?:calls|body|to_apply)=%([\w.-]+)")
_TRIPS = re.compile(r'known_trip_count":\{"n":"(\d+)"')


def collective_bytes(program: str) -> dict[str, int]:
    r"""Sum the bytes of the results of each kind of collective operation, on each device.

    The body of a loop counts as often as it runs. If this number is not known, it counts once.

    Args:
        program: the text of a compiled program, as ``compiled.as_text()`` returns it.

    Returns:
        Bytes by kind, for the kinds that occur.

    Example:
        >>> lines = ["ENTRY %main (y: f32[8]) -> f32[8] {", "  %x = f32[8]{0} all-reduce(%y)", "}"]
        >>> collective_bytes("\n".join(lines))
        {'all-reduce': 32}
    """
    lines: dict[str, list[str]] = {}
    entry = name = ""
    for line in _COMMENT.sub("", program).splitlines():
        if header := _COMPUTATION.match(line):
            name = header[2]
            lines[name] = []
            entry = name if header[1] else entry
        elif name:
            lines[name].append(line)
    return dict(_bytes_of(entry, lines, {}))


def _bytes_of(
    name: str, lines: Mapping[str, list[str]], known: dict[str, Counter[str]]
) -> Counter[str]:
    """Sum the bytes of a computation and of those it calls; ``known`` has finished ones."""
    if name not in known:
        total: Counter[str] = Counter()
        for line in lines.get(name, ()):
            for results, kind in _COLLECTIVE.findall(line):
                total[kind] += sum(_size(*array) for array in _ARRAY.findall(results))
            trips = _TRIPS.search(line)
            for callee in _CALL.findall(line):
                for kind, size in _bytes_of(callee, lines, known).items():
                    total[kind] += size * (int(trips[1]) if trips else 1)
        known[name] = total
    return known[name]


def _size(dtype: str, shape: str) -> int:
    """Return the bytes of an array, by its type and its shape in the text of a program."""
    return _BYTES.get(dtype, 4) * math.prod(int(n) for n in shape.split(",") if n)
