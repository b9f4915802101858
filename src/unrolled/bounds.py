"""What a number or a name may be, checked in one wording: each raises InputError with what was given and expected."""

from __future__ import annotations

from collections.abc import Iterable

from unrolled.errors import InputError, unknown_name


def check_name(kind: str, given: str, known: Iterable[str]) -> None:
    """Raises InputError for a name that is not one of those known."""
    if given not in known:
        raise unknown_name(kind, given, known)


def check_whole(name: str, value: object, at_least: int, at_most: int = 2**53) -> None:
    """Raises InputError for what is no whole number within its bounds."""
    if type(value) is not int or not at_least <= value <= at_most:
        bounds = f"from {at_least} to {at_most:,}" if at_most < 2**53 else f"of at least {at_least}"
        raise InputError(f"{name} is {value!r}, but must be a whole number {bounds}")


def check_number(
    name: str,
    value: float | None,
    *,
    at_least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> None:
    """Raises InputError for a number outside its bounds, or not finite; None, where it is allowed, is within them."""
    if value is None:
        return
    bounds = [
        (at_least is None or value >= at_least, f"at least {at_least}"),
        (above is None or value > above, f"above {above}"),
        (below is None or value < below, f"below {below}"),
        (at_most is None or value <= at_most, f"at most {at_most}"),
        (value == value and abs(value) != float("inf"), "a finite number"),
    ]
    broken = [text for holds, text in bounds if not holds]
    if broken:
        raise InputError(f"{name} is {value}, but must be {' and '.join(broken)}")
