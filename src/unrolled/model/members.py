"""What a model folder may hold beside its network: more networks, a count model, and the gate between the two sides.

    network-2.safetensors, ...   weights of further networks of the same sizes, trained from other seeds
    counts.safetensors           the tables of a count model
    mixture.json                 names of all members in order, and the gate; written if there is more than one

Left out: how members predict together (`mixture`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from unrolled.errors import FolderError
from unrolled.files import from_json, to_json
from unrolled.model.gate import Gate
from unrolled.model.tensors import Weights, check_weights, read_tensors, write_tensors
from unrolled.text.counts.model import CountModel
from unrolled.typed import check_format, typed

FORMAT = 2
"""In format 1, a gate chose between the network and the mean of the counts."""
MIXTURE, COUNTS = "mixture.json", "counts"
MAX_NETWORKS = 64


@dataclass(frozen=True)
class Members:
    """Models that predict together with a first network, or counts that predict alone."""

    networks: tuple[Weights, ...] = field(default=(), repr=False)
    """Of further networks."""
    counts: CountModel | None = None
    gate: Gate | None = None
    """Of the networks and the counts."""

    def names(self, has_network: bool) -> list[str]:
        """The name of each member, the first network's at the head if there is one."""
        networks = [network_name(i) for i in range(1 + len(self.networks))] if has_network else []
        return networks + ([COUNTS] if self.counts is not None else [])

    def check(self, vocabulary: int, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Raises FolderError unless all members have these ids and shapes; no shapes mean that counts are alone."""
        for i, weights in enumerate(self.networks, start=1):
            check_weights(_file(network_name(i)), weights, shapes)
        if self.counts is not None and self.counts.symbols != vocabulary:
            raise FolderError(f"{_file(COUNTS)} has {self.counts.symbols:,} ids, but the vocabulary {vocabulary:,}")
        if not shapes and (self.counts is None or self.networks or self.gate is not None):
            raise FolderError(f"a model of the rung counts must hold {_file(COUNTS)} and no network")
        if shapes and (self.counts is None) != (self.gate is None):
            raise FolderError(f"counts beside a network need a gate in {MIXTURE}, and a gate needs counts")
        if self.counts is not None and self.gate is not None and self.gate.tables != self.counts.depth:
            raise FolderError(f"the gate in {MIXTURE} is for {self.gate.tables} tables, not {self.counts.depth}")

    def to_files(self, has_network: bool) -> dict[str, bytes]:
        """The files of all but the first network."""
        names = self.names(has_network)
        files = {_file(name): write_tensors(weights) for name, weights in zip(names[1:], self.networks, strict=False)}
        if self.counts is not None:
            files[_file(COUNTS)] = write_tensors(self.counts.to_tensors())
        if len(names) > 1:
            gate = None if self.gate is None else asdict(self.gate)
            files[MIXTURE] = to_json({"format": FORMAT, "members": names, "gate": gate})
        return files

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], vocabulary: int, has_network: bool) -> Members:
        """The members in the files of a folder. Raises FolderError naming a file that is missing or damaged."""
        names, mixture = ["network" if has_network else COUNTS], None
        if MIXTURE in files:
            content = from_json(files[MIXTURE], MIXTURE)
            check_format(content.get("format"), FORMAT, MIXTURE)
            mixture = typed(_Mixture, content, MIXTURE, whole=True)
            names = mixture.checked_members(has_network)
        for name in names[has_network:]:
            if _file(name) not in files:
                raise FolderError(f"{_file(name)} is missing, but the model has the members {', '.join(names)}")
        networks = [name for name in names[has_network:] if name != COUNTS]
        counts = _counts(files[_file(COUNTS)], vocabulary) if COUNTS in names else None
        gate = None if mixture is None else mixture.gate_for(counts)
        return cls(tuple(read_tensors(files[_file(name)], _file(name)) for name in networks), counts, gate)


def network_name(i: int) -> str:
    """The name of a network; the first one, of number 0, has none in its name."""
    return "network" if i == 0 else f"network-{i + 1}"


def _file(name: str) -> str:
    return f"{name}.safetensors"


def _counts(data: bytes, vocabulary: int) -> CountModel:
    tensors = read_tensors(data, _file(COUNTS))
    try:
        return CountModel.from_tensors(tensors, vocabulary)
    except FolderError as error:
        raise FolderError(f"{_file(COUNTS)}: {error}") from None


@dataclass(frozen=True)
class _OldGate:
    """That of format 1."""

    bias: float
    network_peak: float
    counts_peak: float
    counts_backoff: float


@dataclass(frozen=True)
class _Mixture:
    """The content of `mixture.json`."""

    format: int
    members: list[str]
    gate: Gate | _OldGate | None

    def gate_for(self, counts: CountModel | None) -> Gate | None:
        """The gate beside these counts."""
        if not isinstance(self.gate, _OldGate):
            return self.gate
        return Gate.between(1 if counts is None else counts.depth, **asdict(self.gate))

    def checked_members(self, has_network: bool) -> list[str]:
        """Raises FolderError for another order or another name."""
        count = min(len(self.members), MAX_NETWORKS)
        networks = [network_name(i) for i in range(count)] if has_network else []
        if not count or self.members not in (networks, [*networks[: count - 1], COUNTS]):
            raise FolderError(f"{MIXTURE}: members must be the networks in order, and counts last")
        return self.members
