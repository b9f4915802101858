"""Every field of a JSON file, each with twenty wrong values: what the tests of strangers' files try."""

import copy
import json

ESC = "\x1b]0;owned\x07"
WRONG = [
    None, True, False, 0, -1, 1.5, -0.5, 1e308, 10**40, -(10**40), 2**53, "", "x", "1", "²", ESC, [], [None], [[0]],
    {}, {"x": 1}, "a" * 10_000,
]  # fmt: skip
GONE = object()
"""Takes the place of a field that is left out."""


def places(value, path=()):
    """The path of every field; of a list, the first and the last item."""
    inner = list(value.items()) if isinstance(value, dict) else []
    if isinstance(value, list) and value:
        inner = sorted({0: value[0], len(value) - 1: value[-1]}.items())
    for key, item in inner:
        yield (*path, key)
        yield from places(item, (*path, key))


def found_at(value, path):
    for key in path:
        value = value[key]
    return value


def changed(content, path, value):
    """A copy of `content` with another value at `path`, or without it."""
    content = copy.deepcopy(content)
    inside = found_at(content, path[:-1])
    if value is GONE:
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    return content


def variants(content):
    """Pairs of a path and a wrong value for it, `GONE` among them; a key that nobody knows is tried in every object."""
    for path in places(content):
        before = found_at(content, path)
        if not isinstance(path[-1], int):
            yield path, GONE
        yield from ((path, value) for value in WRONG if type(value) is not type(before) or value != before)
        if isinstance(before, dict):
            yield (*path, "nobody knows"), 1


def is_of_kind(value, before):
    """Whether nobody could tell that `value` is not what was meant in place of `before`."""
    numbers = (int, float)
    if type(before) is float and type(value) in numbers:
        return True
    if isinstance(value, list) and isinstance(before, list):
        return not value or (bool(before) and is_of_kind(value[0], before[0]))
    return type(value) is type(before) and not isinstance(value, dict)


def survey(content, use, chosen=None):
    """What is wrong with how `use` takes the variants of `content`, each as one line.

    `use` gives, for a content, something to compare, or raises an UnrolledError. A variant may be refused, change
    nothing, or be of the kind of what was there. `chosen` picks some of the variants.
    """
    from unrolled.errors import UnrolledError

    expected, wrong = use(content), []
    for i, (path, value) in enumerate(variants(content)):
        if chosen is not None and not chosen(i):
            continue
        what = f"{'.'.join(map(str, path))} = {'gone' if value is GONE else json.dumps(value)[:40]}"
        try:
            found = use(changed(content, path, value))
        except UnrolledError:
            continue
        except Exception as error:
            wrong.append(f"{what}: {type(error).__name__}: {error}")
            continue
        optional = value is GONE or path[-1] == "nobody knows"
        if found != expected and (optional or not is_of_kind(value, found_at(content, path))):
            wrong.append(f"{what}: silently taken")
    return wrong
