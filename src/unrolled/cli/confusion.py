"""Labels of lines, as they are and as they were found, in one table.

Left out: finding them (`score`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from unrolled.cli.output import say
from unrolled.errors import InputError

SHOWN = 12
"""Labels of a table, at most: the most frequent ones."""


def without_label(line: str) -> tuple[str, str]:
    """The label of a line that begins with one, and the rest. Raises InputError where there is no tab."""
    label, tab, rest = line.partition("\t")
    if not tab:
        raise InputError(f"with --labels each line begins with its label and a tab, but {line[:40]!r} has no tab")
    return label, rest


@dataclass
class Confusion:
    """How often each label was found for each true one."""

    known: Collection[str]
    """The labels that can be found."""
    found: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count(self, truth: str, best: str) -> None:
        """Count one line."""
        self.found[truth, best] += 1

    def print(self) -> None:
        """The table on stderr: a row for each true label, a column for each that was found."""
        total = sum(self.found.values())
        if not total:
            return
        right = sum(times for (truth, best), times in self.found.items() if truth == best)
        true_labels, found_labels = Counter[str](), Counter[str]()
        for (truth, best), times in self.found.items():
            true_labels[truth] += times
            found_labels[best] += times
        rows = [label for label, _ in true_labels.most_common(SHOWN)]
        columns = [label for label, _ in (true_labels + found_labels).most_common(SHOWN) if found_labels[label]]
        cells = [["", *columns], *([row, *(f"{self.found[row, column]:,}" for column in columns)] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for row in cells:
            say("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]))
        if true_labels.keys().isdisjoint(self.known):
            say("none of these labels can be found: the runs, or the labels that one run has learned, have other names")
            return
        most = true_labels.most_common(1)[0]
        say(
            f"{right:,} of {total:,} labels found ({right / total:.1%}); rows are the true labels, columns the labels "
            f"found; {most[0]!r} alone is right on {most[1] / total:.1%}"
        )
