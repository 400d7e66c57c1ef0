"""What a customer of the lab does when he is called: words only, checked when made.

Items are joined by ``+``, durations are as in `behaviours` (``20``, ``exp(20)``, ``uniform(10,30)``...):

- ``answer``, ``answer-after:S``; ``early`` (183 and music before), and once he has answered ``hello`` (says it and
  listens), ``tone`` (a tone as long as the call lasts), ``machine`` or ``machine:FILE.wav`` (a greeting, a beep, and it
  listens until the far end hangs up), ``fax`` (a calling fax's tone), ``press:9`` (a key, once something is heard, each
  0.2 s apart; a comma is half a second), ``press-unheard:9`` (the same from the answer on), ``talk:S`` (hangs up so long
  after the answer; ``talk:0``: at once);
- ``busy`` (486), ``congestion`` (503), ``invalid`` (404), ``decline`` (603), ``unavailable`` (480), ``refuse:CODE``, each
  also with ``-after:S``, ``cause:N`` (the Q.850 cause in a Reason header) and ``early``, as carriers announce what is wrong
  with a number; ``never`` (rings until the far end gives up; or ``early``), ``silent`` (says no word).
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from acd.domain.errors import ConfigurationError
from acd.domain.values import valueclass
from acd.lab.behaviours import NOW, Duration

_REFUSALS = {"busy": 486, "congestion": 503, "invalid": 404, "decline": 603, "unavailable": 480}
_REFUSAL = re.compile(
    r"(?P<name>busy|congestion|invalid|decline|unavailable|refuse:(?P<code>[0-9]{3}))(?:-after:(?P<s>.+))?"
)
_CAUSE = re.compile(r"cause:([0-9]{1,3})")
_KEYS = re.compile(r"[0-9*#A-D,]{1,64}")
_KNOWN = (
    "answer, answer-after:S, early, hello, tone, machine, machine:FILE.wav, fax, press:KEYS, press-unheard:KEYS, talk:S; "
    "busy, congestion, invalid, decline, unavailable, refuse:CODE (each also with -after:S, cause:N, early); never, silent"
)


@valueclass(frozen=True, slots=True)
class CustomerBehaviour:
    """``code``: the refusal he gives; ``rings_for_ever``, ``silent``: neither that nor an answer. ``says``: nothing, hello,
    tone, machine or fax; ``file``: what the machine plays instead of a greeting of ours. ``keys``: pressed once he hears
    something, or if ``unheard`` once he has answered. ``cause``: of Q.850, said with a refusal. ``text`` as it was read."""

    text: str
    after: Duration = NOW
    code: int | None = None
    rings_for_ever: bool = False
    silent: bool = False
    early: bool = False
    says: str = ""
    file: Path | None = None
    keys: str = ""
    unheard: bool = False
    talk: Duration | None = None
    cause: int | None = None

    @property
    def answers(self) -> bool:
        """Whether there is an answer."""
        return self.code is None and not self.rings_for_ever and not self.silent

    def __str__(self) -> str:
        return self.text


def parse_customer(text: str) -> CustomerBehaviour:
    """Read a behaviour (grammar above); ConfigurationError says what is wrong and what is known."""
    whole = text.strip()
    items = [item.strip() for item in whole.split("+")]
    early, causes = items.count("early"), [found for item in items if (found := _CAUSE.fullmatch(item))]
    main = "+".join(item for item in items if item != "early" and not _CAUSE.fullmatch(item))
    if main == "never" and early <= 1 and not causes:
        return CustomerBehaviour(whole, rings_for_ever=True, early=bool(early))
    if whole == "silent":
        return CustomerBehaviour(whole, silent=True)
    refusal = _REFUSAL.fullmatch(main)
    if refusal is not None and early <= 1 and len(causes) <= 1:
        cause = int(causes[0][1]) if causes else None
        if cause is not None and not 1 <= cause <= 127:
            raise ConfigurationError(f"{text}: a cause of Q.850 is a number from 1 to 127")
        code = int(refusal["code"]) if refusal["code"] else _REFUSALS[refusal["name"]]
        if not 400 <= code <= 699 or code in (401, 407):
            raise ConfigurationError(f"{text}: a refusal is a SIP status from 400 to 699, not 401 or 407")
        after = Duration.parse(refusal["s"]) if refusal["s"] else NOW
        return CustomerBehaviour(whole, code=code, after=after, early=bool(early), cause=cause)
    return _answering(whole)


def _answering(whole: str) -> CustomerBehaviour:
    given: dict[str, object] = {}
    answers = False
    for item in whole.split("+"):
        name, _, value = item.strip().partition(":")
        field = {"answer-after": "after", "press": "keys", "hello": "says", "tone": "says", "fax": "says"}.get(
            name, name
        )
        field = {"machine": "says", "press-unheard": "keys"}.get(name, field)
        if field in given or (name in ("answer", "answer-after") and answers):
            raise ConfigurationError(f"{whole!r}: {item!r} says the same a second time")
        match name:
            case "answer" if not value:
                answers = True
            case "answer-after" | "talk":
                given[field] = Duration.parse(value)
                answers = answers or name == "answer-after"
            case "early" if not value:
                given[field] = True
            case "hello" | "tone" | "fax" if not value:
                given[field] = name
            case "machine":
                given[field] = name
                given["file"] = Path(value) if value else None
            case "press" | "press-unheard" if _KEYS.fullmatch(value):
                given[field], given["unheard"] = value, name != "press"
            case _:
                raise ConfigurationError(f"{whole!r} is no customer's behaviour (at {item!r}); known: {_KNOWN}")
    if not answers:
        raise ConfigurationError(f"{whole!r}: does he answer? say answer or answer-after:S first; known: {_KNOWN}")
    return CustomerBehaviour(whole, **given)  # type: ignore[arg-type]


@valueclass(frozen=True, slots=True)
class Reaction:
    """What one call meets: a behaviour with its durations drawn, in seconds."""

    behaviour: CustomerBehaviour
    after_s: float
    talk_s: float | None


class Chooser:
    """Which customer a number reaches: by ``numbers`` (a number without its +, or the beginning of several and ``*``; the
    longest that fits), else by weight among ``mix``. The same seed, number and count of calls give the same."""

    def __init__(
        self,
        mix: Mapping[CustomerBehaviour, float],
        numbers: Mapping[str, CustomerBehaviour] | None = None,
        *,
        seed: int = 1,
    ) -> None:
        if not mix or min(mix.values()) < 0 or sum(mix.values()) <= 0:
            raise ConfigurationError("customers need a behaviour; weights are 0 or more, and one of them above 0")
        self._mix: tuple[Sequence[CustomerBehaviour], Sequence[float]] = (list(mix), list(mix.values()))
        self._exact = {key.lstrip("+"): value for key, value in (numbers or {}).items() if not key.endswith("*")}
        begun = {key.lstrip("+")[:-1]: value for key, value in (numbers or {}).items() if key.endswith("*")}
        self._begun = sorted(begun.items(), key=lambda item: -len(item[0]))
        self._seed = seed
        self._calls: dict[str, int] = {}

    def reaction(self, number: str) -> Reaction:
        """What the next call to ``number`` meets."""
        bare = number.lstrip("+")
        count = self._calls[bare] = self._calls.get(bare, 0) + 1
        rng = random.Random(f"{self._seed}/{bare}/{count}")
        behaviour = self._exact.get(bare) or next((how for begin, how in self._begun if bare.startswith(begin)), None)
        if behaviour is None:
            behaviour = rng.choices(*self._mix)[0]
        talk_s = None if behaviour.talk is None else behaviour.talk.draw(rng)
        return Reaction(behaviour, behaviour.after.draw(rng), talk_s)
