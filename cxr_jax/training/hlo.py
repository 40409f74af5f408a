"""Read a compiled program's text: what its devices exchange, and what it moves in their memory.

The text is what `jax.stages.Compiled.as_text()` gives, the program of one device in XLA's HLO
(https://openxla.org/xla/operation_semantics).
"""

import collections
import dataclasses
import functools
import math
import re
from collections.abc import Callable, Mapping

COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
    "collective-broadcast",
)
# A fusion is named after the first of these that is in it.
_HEAVY = (
    "convolution",
    "dot",
    "gather",
    "scatter",
    "select-and-scatter",
    "reduce-window",
    "sort",
    "reduce",
    "concatenate",
    "pad",
)
_CONTROL = ("while", "conditional", "call")
_MOVES_NOTHING = ("parameter", "constant", "get-tuple-element", "tuple", "bitcast", *_CONTROL)
_READS_A_PART = ("slice", "dynamic-slice", "gather")
_UPDATES_A_PART = "dynamic-update-slice"

_COMPUTATION = re.compile(r"(ENTRY )?%?(\S+) \(.*\{$")
_INSTRUCTION = re.compile(r"\s+(?:ROOT )?%(\S+) = (.*?) ([a-z][a-z0-9-]*)\(([^)]*)\)(.*)$")
_ARRAY = re.compile(r"\b(pred|[a-z]+(\d+)\w*)\[([\d,]*)\](\{[^}]*\})?")
_CALLED = re.compile(r"(?:calls|body|condition|to_apply|branch_computations)=(%[\w.-]+|\{[^}]*\})")
_NAME = re.compile(r"%([\w.-]+)")
# Of {3,0,2,1:T(8,128)(2,1)S(1)}: the axes from the last in memory on, and what they are padded to.
_LAYOUT = re.compile(r"\{([\d,]+):T\(([\d,]+)\)")


@dataclasses.dataclass(frozen=True)
class Moved:
    """So many operations, and the bytes that all of them move."""

    count: int = 0
    bytes: int = 0

    def and_times(self, n: int, other: "Moved") -> "Moved":
        """These and n times the others."""
        return Moved(self.count + n * other.count, self.bytes + n * other.bytes)


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line: %name = type opcode(%operand, …), attributes.

    A parameter's only operand is its number.
    """

    type: str
    opcode: str
    operands: tuple[str, ...]
    attributes: str

    @property
    def called(self) -> list[str]:
        """Names of the computations that it calls."""
        return _NAME.findall(" ".join(_CALLED.findall(self.attributes)))

    @property
    def source(self) -> str:
        """Where it comes from, by JAX's names: jit(train_step)/jvp(DenseNet)/features/…"""
        found = re.search(r'op_name="([^"]*)"', self.attributes)
        return found[1] if found else ""


Passes = Callable[[Instruction], int]
"""How often a while loop goes round."""


@dataclasses.dataclass(frozen=True)
class Program:
    """Instructions by name, in computations by name; `entry` names the one that is run."""

    computations: Mapping[str, Mapping[str, Instruction]]
    entry: str

    @classmethod
    def parse(cls, text: str) -> "Program":
        """Read the text.

        Raises:
          ValueError: nothing in it is marked as the entry.
        """
        computations: dict[str, dict[str, Instruction]] = {}
        inside: dict[str, Instruction] = {}
        entry = None
        for line in text.splitlines():
            if found := _INSTRUCTION.match(line):
                name, kind, opcode, operands, attributes = found.groups()
                named = (operands,) if opcode == "parameter" else _NAME.findall(operands)
                inside[name] = Instruction(kind, opcode, tuple(named), attributes)
            elif found := _COMPUTATION.match(line):
                inside = computations.setdefault(found[2], {})
                entry = found[2] if found[1] else entry
        if entry is None:
            raise ValueError("text must be a compiled program's, got one without an ENTRY")
        return cls(computations, entry)

    def collectives(self, passes: Passes) -> dict[str, Moved]:
        """Count what a device gets from the others, by kind of operation."""

        def of(instruction: Instruction) -> tuple[str, int] | None:
            # Of an asynchronous pair the end is taken, whose type is the result alone.
            kind = instruction.opcode.removesuffix("-done")
            size = _size(instruction.type, fast_too=True, padded=False)
            return (kind, size) if kind in COLLECTIVES else None

        return self._sum(of, passes, enter=lambda instruction: True)

    def traffic(self, passes: Passes) -> dict[str, Moved]:
        """Count what goes through a device's main memory, by operation and pass.

        An operation reads its operands and writes its result, each once, and a fusion is one
        operation. Of what is only sliced, the slices are counted, and of an update in place the
        update. Arrays are as large as their layout pads them. What XLA puts into a TPU's own fast
        memory (space 1) is not counted.

        Returns:
          Such as {"convolution, backward": …}, the most bytes first.
        """

        def of(instruction: Instruction) -> tuple[str, int] | None:
            opcode = instruction.opcode
            if opcode in _MOVES_NOTHING or opcode.endswith("-start"):
                return None
            kind = opcode.removesuffix("-done")
            if kind != opcode:  # from one memory into the other
                moved = _size(instruction.type, fast_too=True)
            else:
                moved = self._written(instruction) + sum(
                    self._read(instruction, operand, _size(self._types.get(operand, "")))
                    for operand in dict.fromkeys(instruction.operands)
                )
            if opcode == "fusion":
                kind = self._heaviest(instruction)
            return f"{kind}, {_pass(instruction)}", moved

        found = self._sum(of, passes, enter=lambda instruction: instruction.opcode in _CONTROL)
        return dict(sorted(found.items(), key=lambda item: -item[1].bytes))

    def _sum(
        self,
        of: Callable[[Instruction], tuple[str, int] | None],
        passes: Passes,
        *,
        enter: Callable[[Instruction], bool],
    ) -> dict[str, Moved]:
        """Sum (kind, bytes) of the entry's instructions, and of what those call that one enters."""

        @functools.cache
        def total(computation: str) -> dict[str, Moved]:
            sums: dict[str, Moved] = collections.defaultdict(Moved)
            for instruction in self.computations.get(computation, {}).values():
                if (found := of(instruction)) is not None:
                    kind, size = found
                    sums[kind] = sums[kind].and_times(1, Moved(1, size))
                if enter(instruction):
                    times = passes(instruction) if instruction.opcode == "while" else 1
                    for called in instruction.called:
                        for kind, moved in total(called).items():
                            sums[kind] = sums[kind].and_times(times, moved)
            return dict(sums)

        return total(self.entry)

    @functools.cached_property
    def _types(self) -> dict[str, str]:
        return {
            name: instruction.type
            for inside in self.computations.values()
            for name, instruction in inside.items()
        }

    def _written(self, instruction: Instruction) -> int:
        last = instruction
        while last.opcode == "fusion":
            last = list(self.computations[last.called[0]].values())[-1]
        if last.opcode == _UPDATES_A_PART and _size(instruction.type):
            return _size(self._types.get(last.operands[1], ""), fast_too=True)
        return _size(instruction.type)

    def _read(self, instruction: Instruction, operand: str, whole: int) -> int:
        """Bytes of an operand that an operation reads, of its bytes in the main memory."""
        if instruction.opcode == "fusion":
            inside = self.computations[instruction.called[0]]
            here = {
                name
                for name, each in inside.items()
                if each.opcode == "parameter"
                and instruction.operands[int(each.operands[0])] == operand
            }
            reads = (
                self._read(each, name, whole)
                for each in inside.values()
                for name in here.intersection(each.operands)
            )
            return min(whole, sum(reads))
        if instruction.operands[0] == operand:
            if instruction.opcode in _READS_A_PART:
                return min(whole, _size(instruction.type, fast_too=True))
            if instruction.opcode == _UPDATES_A_PART:
                return 0
        return whole

    def _heaviest(self, fusion: Instruction) -> str:
        inside = [
            instruction
            for called in fusion.called
            for instruction in self.computations.get(called, {}).values()
        ]
        there = {instruction.opcode for instruction in inside}
        there |= {self._heaviest(each) for each in inside if each.opcode == "fusion"}
        return next((kind for kind in _HEAVY if kind in there), "elementwise")


def _pass(instruction: Instruction) -> str:
    source = instruction.source
    return "backward" if "transpose(" in source else "forward" if "jvp(" in source else "other"


def _size(kind: str, *, fast_too: bool = False, padded: bool = True) -> int:
    """Bytes of an HLO type, such as (f32[8,2]{1,0}, bf16[16]{0:T(128)S(1)})."""
    total = 0
    for _, bits, dimensions, layout in _ARRAY.findall(kind):
        shape = [int(n) for n in dimensions.split(",") if n]
        if padded and (tiled := _LAYOUT.match(layout)):
            axes, tile = (list(map(int, numbers.split(","))) for numbers in tiled.groups())
            for axis, n in zip(axes, reversed(tile), strict=False):
                shape[axis] = math.ceil(shape[axis] / n) * n
        if fast_too or "S(1)" not in layout:
            total += math.ceil(math.prod(shape) * int(bits or 8) / 8)
    return total
