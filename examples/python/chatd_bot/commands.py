"""From ``/deploy web --now`` to the parameters of a function: words, conversion by annotation, and the usage."""

from __future__ import annotations

import inspect
import shlex
import types
import typing
from typing import Any, Callable, Union

from .errors import UsageError

#: ``Optional[int]``, and from Python 3.10 on ``int | None``.
_UNIONS = (Union, getattr(types, "UnionType", Union))
_TRUE, _FALSE = {"yes", "true", "on", "1"}, {"no", "false", "off", "0"}
_FEW = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def words(text: str) -> list[str]:
    """Words of a text; ``"double quotes"`` keep some together. Nothing is ever expanded, and ``it's`` is a word."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars="")
    lexer.whitespace_split, lexer.commenters, lexer.quotes, lexer.escape = True, "", '"', ""
    try:
        return list(lexer)
    except ValueError:
        return text.split()


class Command:
    """What a command's handler takes: after the message, one parameter for each word; ``*rest`` takes what is left.

    Annotations convert: ``int``, ``float``, ``bool``, ``Literal["a", "b"]``, or any function of a text that raises
    :class:`ValueError`. A parameter with a default may be left out.
    """

    def __init__(self, name: str, handler: Callable[..., Any]) -> None:
        self.name = name
        parameters = list(inspect.signature(handler).parameters.values())
        self._few = [one for one in parameters[1:] if one.kind in _FEW]
        self._rest = [one for one in parameters[1:] if one.kind is inspect.Parameter.VAR_POSITIONAL]
        self._hints = {one.name: _hint(handler, one) for one in self._few + self._rest}

    @property
    def wants_words(self) -> bool:
        """Whether the handler takes more than the message; if not, it looks at ``args`` itself."""
        return bool(self._few or self._rest)

    def usage(self) -> str:
        """As in ``/deploy TARGET [COUNT]``."""
        return " ".join([self.name, *map(self._shown, self._few + self._rest)])

    def bind(self, given: list[str]) -> list[Any]:
        """The handler's arguments. Raises :class:`~chatd_bot.UsageError`."""
        needed = sum(one.default is inspect.Parameter.empty for one in self._few)
        if len(given) < needed or (len(given) > len(self._few) and not self._rest):
            raise UsageError(f"usage: {self.usage()}")
        places = self._few + self._rest * max(len(given) - len(self._few), 0)
        return [self._convert(place.name, word) for place, word in zip(places, given)]

    def _convert(self, name: str, word: str) -> Any:
        try:
            return _converted(self._hints[name], word)
        except (ValueError, TypeError) as wrong:
            raise UsageError(f"{name.upper()}: {wrong}\nusage: {self.usage()}") from wrong

    def _shown(self, one: inspect.Parameter) -> str:
        choices = typing.get_args(self._hints[one.name]) if _is_literal(self._hints[one.name]) else ()
        name = "|".join(map(str, choices)) or one.name.upper()
        if one.kind is inspect.Parameter.VAR_POSITIONAL:
            return f"[{name}...]"
        return name if one.default is inspect.Parameter.empty else f"[{name}]"


def _hint(handler: Callable[..., Any], one: inspect.Parameter) -> Any:
    """What a parameter is converted to. Raises :class:`TypeError` for what Python cannot make sense of here."""
    found = str if one.annotation is inspect.Parameter.empty else one.annotation
    try:
        # texts because of `from __future__ import annotations`, or by themselves, or both
        for _ in range(2):
            if isinstance(found, str):
                found = eval(found, getattr(inspect.unwrap(handler), "__globals__", {}))
    except Exception as wrong:
        raise TypeError(f"{one.name}: {one.annotation}: {wrong}") from wrong
    return found


def _is_literal(hint: Any) -> bool:
    return typing.get_origin(hint) is typing.Literal


def _converted(hint: Any, word: str) -> Any:
    if typing.get_origin(hint) in _UNIONS:
        hint = next(one for one in typing.get_args(hint) if one is not type(None))
    if _is_literal(hint):
        return _one_of(typing.get_args(hint), word)
    if hint is bool:
        return _yes_or_no(word)
    if hint in (int, float):
        return _number(hint, word)
    return word if hint in (str, Any) else hint(word)


def _one_of(choices: tuple[Any, ...], word: str) -> Any:
    for choice in choices:
        if str(choice) == word:
            return choice
    raise ValueError(f"`{word}` is none of {', '.join(map(str, choices))}")


def _yes_or_no(word: str) -> bool:
    if word.lower() not in _TRUE | _FALSE:
        raise ValueError(f"`{word}` is neither yes nor no")
    return word.lower() in _TRUE


def _number(kind: Callable[[str], Any], word: str) -> Any:
    try:
        return kind(word)
    except ValueError:
        raise ValueError(f"`{word}` is not a number") from None
