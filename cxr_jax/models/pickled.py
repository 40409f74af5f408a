"""Read a pickle as data: nothing that it names is looked up, imported or called.

A pickle is a program for a stack machine, which may call any function that it can name. Here
`pickletools` splits it into its instructions, and those that make plain values are carried out. A
class or function is its name alone (`Global`), an object of a class is an inert stand-in
(`Object`), and a call is made only to what stands in the caller's own table.
"""

import dataclasses
import pickletools
from collections.abc import Callable, Iterable, Mapping
from typing import Any


class ForeignCodeError(ValueError):
    """A pickle wants something called that is no part of data."""


@dataclasses.dataclass(frozen=True)
class Global:
    """The name of a class or function, such as "torch.FloatStorage"."""

    name: str


@dataclasses.dataclass(eq=False)
class Object:
    """What a pickle says of an object: the name of its class and its attributes."""

    kind: str
    state: dict[Any, Any] = dataclasses.field(default_factory=dict)


Calls = Mapping[str, Callable[..., Any]]


def read_pickle(file: Any, *, calls: Calls, persistent: Callable[[Any], Any]) -> Any:
    """Read one pickle; the file is left behind its end.

    Args:
      file: open for reading in binary mode, or such a file mapped into memory.
      calls: functions by the name that pickles know them by; of no effect but their result.
      persistent: what a persistent id stands for.

    Returns:
      The value: sets as lists, objects as `Object`, classes and functions as `Global`.

    Raises:
      ForeignCodeError: a function is to be called that is not in `calls`.
      ValueError: the pickle is damaged or cut short.
    """
    machine = _Machine(calls, persistent)
    try:
        for opcode, argument, _ in pickletools.genops(file):
            if opcode.name == "STOP":
                return machine.stack.pop()
            machine.step(opcode.name, argument)
    except ForeignCodeError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"the pickle in it is damaged or cut short: {error!s:.200}") from error
    raise ValueError("the pickle in it is cut short")


def plain_dict(items: Iterable[Any] = ()) -> dict[Any, Any]:
    """Make a dict of pairs; those whose key is no plain value, which might hash forever, are left
    out.
    """
    plain = (str, int, float, bool, bytes, type(None))
    return {key: value for key, value in items if isinstance(key, plain)}


class _Machine:
    def __init__(self, calls: Calls, persistent: Callable[[Any], Any]) -> None:
        self.calls, self.persistent = calls, persistent
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Carry out one instruction, by its name in `pickletools`."""
        stack = self.stack
        match name:
            case "PROTO" | "FRAME":
                pass
            case _ if name in _LITERALS:
                stack.append(argument)
            case _ if name in _CONSTANTS:
                stack.append(_CONSTANTS[name]())
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memo[int(argument)] = stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self.memo[int(argument)])
            case "MARK":
                self.marks.append(len(stack))
            case "POP":
                stack.pop()
            case "POP_MARK":
                self._since_mark()
            case "DUP":
                stack.append(stack[-1])
            case "TUPLE":
                stack.append(tuple(self._since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._pop(int(name[-1]))))
            case "LIST" | "FROZENSET":
                stack.append(self._since_mark())
            case "DICT":
                stack.append(plain_dict(_pairs(self._since_mark())))
            case "APPEND":
                self._extend([stack.pop()])
            case "APPENDS" | "ADDITEMS":
                self._extend(self._since_mark())
            case "SETITEM":
                self._update(self._pop(2))
            case "SETITEMS":
                self._update(self._since_mark())
            case "GLOBAL":
                stack.append(Global(argument.replace(" ", ".", 1)))
            case "STACK_GLOBAL":
                stack.append(Global(".".join(self._pop(2))))
            case "BINPERSID":
                stack.append(self.persistent(stack.pop()))
            case "NEWOBJ":
                kind, _ = self._pop(2)
                stack.append(Object(kind.name))
            case "BUILD":
                self._build(stack.pop())
            case "REDUCE":
                function, arguments = self._pop(2)
                stack.append(self._call(function, arguments))
            case _:  # none that torch writes
                of = f" of {argument.replace(' ', '.')}" if name == "INST" else ""
                raise ForeignCodeError(f"the pickle instruction {name}{of}")

    def _call(self, function: Global, arguments: tuple[Any, ...]) -> Any:
        if function.name not in self.calls:
            raise ForeignCodeError(f"a call of {function.name}")
        return self.calls[function.name](*arguments)

    def _build(self, state: Any) -> None:
        """Attributes of an object; those of anything else are of no interest."""
        if isinstance(self.stack[-1], Object):
            for part in state if isinstance(state, tuple) else (state,):
                if isinstance(part, dict):
                    self.stack[-1].state.update(part)

    def _pop(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise IndexError("too little on its stack")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def _since_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def _extend(self, items: list[Any]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)

    def _update(self, items: list[Any]) -> None:
        if isinstance(self.stack[-1], dict):
            self.stack[-1].update(plain_dict(_pairs(items)))


def _pairs(items: list[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(items[::2], items[1::2], strict=True)


# Instructions that push their argument, and those that push a value of their own.
_LITERALS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
    "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
_CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_DICT": dict,
}
