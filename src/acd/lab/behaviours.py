"""What a lab phone does with a call, and what a lab caller does: words only, checked when made.

Every behaviour has a textual form for the command line and YAML; ``str(parse_phone_behaviour(text))`` is its canonical
spelling. Items are joined by ``+``, durations are seconds or a distribution:

- phones: ``answer``, ``answer-after:3``, ``busy``, ``decline``, ``unavailable``, ``refuse:404``, ``refuse:404-after:2``
  (also ``busy-after:2`` ...), ``never``, ``silent``, ``absent``; those that answer may add ``talk:20`` (hangs up first)
  and ``transfer:EXTENSION`` (sends the other side away by a blind transfer at the end of ``talk``);
- callers: ``until-bye``, ``talk:30``, ``patience:10``, ``dtmf:12#``, ``refused``;
- durations: ``20``, ``exp(20)``, ``uniform(10,30)``, ``normal(20,5)``, ``lognormal(180,90)``.

No SIP and no processes here: scenarios are made from these in ``sipp_phones`` and ``sipp_callers``.
"""

from __future__ import annotations

import math
import random
import re

from acd.domain.errors import ConfigurationError
from acd.domain.values import valueclass

LONGEST_S = 86_400.0
"""No lab call waits or talks longer than a day; draws from a distribution are cut here."""

_PARAMETERS = {
    "fixed": ("s",),
    "exp": ("mean_s",),
    "uniform": ("low_s", "high_s"),
    "normal": ("mean_s", "sd_s"),
    "lognormal": ("mean_s", "sd_s"),
}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_DISTRIBUTION = re.compile(rf"(?P<name>[a-z]+)\(\s*(?P<values>{_NUMBER}(?:\s*,\s*{_NUMBER})*)\s*\)")
_EXTENSION = re.compile(r"[0-9A-Za-z*#_.-]{1,64}")
_DTMF = re.compile(r"[0-9*#A-D,]{1,64}")


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


@valueclass(frozen=True, slots=True)
class Duration:
    """A length of time in seconds, fixed or drawn anew for each call. ``values`` are as ``text`` shows them."""

    kind: str
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        names = _PARAMETERS.get(self.kind)
        if names is None:
            raise ConfigurationError(
                f"unknown distribution {self.kind!r}; known: {', '.join(k for k in _PARAMETERS if k != 'fixed')}"
            )
        if len(self.values) != len(names):
            raise ConfigurationError(f"{self.kind} takes {len(names)} value(s): {self.kind}({','.join(names)})")
        if any(not math.isfinite(value) or not 0 <= value <= LONGEST_S for value in self.values):
            raise ConfigurationError(f"durations lie between 0 and {LONGEST_S:.0f} s, not {self}")
        if self.kind == "uniform" and self.values[0] > self.values[1]:
            raise ConfigurationError(f"{self}: the lower bound comes first")
        if self.kind == "lognormal" and self.values[0] == 0:
            raise ConfigurationError(f"{self}: the mean must be above 0")

    @classmethod
    def fixed(cls, seconds: float) -> Duration:
        """Always ``seconds``."""
        return cls("fixed", (float(seconds),))

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read ``20`` or ``exp(20)``; ConfigurationError for anything else."""
        stripped = text.strip()
        if re.fullmatch(_NUMBER, stripped):
            return cls.fixed(float(stripped))
        match = _DISTRIBUTION.fullmatch(stripped)
        if match is None or match["name"] == "fixed":
            raise ConfigurationError(f"{text!r} is no duration; write seconds (20) or a distribution (exp(20))")
        return cls(match["name"], tuple(float(value) for value in match["values"].split(",")))

    def draw(self, rng: random.Random) -> float:
        """One length in seconds, between 0 and `LONGEST_S`."""
        match self.kind:
            case "fixed":
                drawn = self.values[0]
            case "exp":
                drawn = rng.expovariate(1 / self.values[0]) if self.values[0] else 0.0
            case "uniform":
                drawn = rng.uniform(*self.values)
            case "normal":
                drawn = rng.gauss(*self.values)
            case _:
                # Mean and deviation are those of the duration itself, not of its logarithm.
                mean, deviation = self.values
                variance = math.log(1 + (deviation / mean) ** 2)
                drawn = rng.lognormvariate(math.log(mean) - variance / 2, math.sqrt(variance))
        return min(max(drawn, 0.0), LONGEST_S)

    @property
    def is_fixed(self) -> bool:
        """Whether every draw gives the same."""
        return self.kind == "fixed"

    def __str__(self) -> str:
        numbers = ",".join(_number(value) for value in self.values)
        return numbers if self.kind == "fixed" else f"{self.kind}({numbers})"


NOW = Duration.fixed(0)


@valueclass(frozen=True, slots=True)
class Answers:
    """Rings for ``after``, answers, and talks for ``talk``; without ``talk`` until the other side hangs up.

    With ``transfer_to`` the end of ``talk`` is a blind transfer (REFER) to that extension instead of a hang-up.
    """

    after: Duration = NOW
    talk: Duration | None = None
    transfer_to: str | None = None

    def __post_init__(self) -> None:
        if self.transfer_to is not None and not _EXTENSION.fullmatch(self.transfer_to):
            raise ConfigurationError(f"transfer:{self.transfer_to}: not an extension (letters, digits and *#_.- only)")

    def __str__(self) -> str:
        items = ["answer" if self.after == NOW else f"answer-after:{self.after}"]
        if self.talk is not None:
            items.append(f"talk:{self.talk}")
        if self.transfer_to is not None:
            items.append(f"transfer:{self.transfer_to}")
        return "+".join(items)


@valueclass(frozen=True, slots=True)
class Refuses:
    """Rings for ``after``, then refuses with SIP status ``code`` (400 to 699)."""

    code: int
    after: Duration = NOW

    def __post_init__(self) -> None:
        # A 401 or 407 without a challenge, and the 3xx family, are no refusals and would be taken for something else.
        if not 400 <= self.code <= 699 or self.code in (401, 407):
            raise ConfigurationError(f"refuse:{self.code}: a refusal is a SIP status from 400 to 699, not 401 or 407")

    def __str__(self) -> str:
        name = _REFUSAL_NAMES.get(self.code, f"refuse:{self.code}")
        return name if self.after == NOW else f"{name}-after:{self.after}"


@valueclass(frozen=True, slots=True)
class RingsForEver:
    """Rings until the other side gives up."""

    def __str__(self) -> str:
        return "never"


@valueclass(frozen=True, slots=True)
class Silent:
    """Its socket is open, but it never says a word: a phone that hangs."""

    def __str__(self) -> str:
        return "silent"


@valueclass(frozen=True, slots=True)
class Absent:
    """Nobody listens at its address: a phone whose plug was pulled."""

    def __str__(self) -> str:
        return "absent"


PhoneBehaviour = Answers | Refuses | RingsForEver | Silent | Absent

_REFUSALS = {"busy": 486, "decline": 603, "unavailable": 480}
_REFUSAL_NAMES = {code: name for name, code in _REFUSALS.items()}
_REFUSE_ITEM = re.compile(r"(?P<name>busy|decline|unavailable|refuse:(?P<code>[0-9]{3}))(?:-after:(?P<after>.+))?")


@valueclass(frozen=True, slots=True)
class CallerBehaviour:
    """What one caller does.

    ``patience`` is how long he waits for an answer before he gives up (CANCEL). ``talk`` is how long after the answer
    he hangs up; without it he waits for the far end to hang up, except when ``patience`` stands alone: then it is all
    the time he gives the call, held or ringing, answered or not, and he leaves when it is over.
    ``dtmf`` are the keys he presses after the answer, one each 200 ms, a comma being half a second's pause.
    ``expects_refusal``: the call is to be refused (a busy queue, a closed line), and any other end counts as lost.
    """

    patience: Duration | None = None
    talk: Duration | None = None
    until_bye: bool = False
    dtmf: str = ""
    expects_refusal: bool = False

    def __post_init__(self) -> None:
        if self.until_bye and self.talk is not None:
            raise ConfigurationError("until-bye and talk exclude each other: who hangs up?")
        if self.dtmf and not _DTMF.fullmatch(self.dtmf):
            raise ConfigurationError(f"dtmf:{self.dtmf}: up to 64 of 0-9 * # A-D and comma (a pause of half a second)")
        if self.expects_refusal and (self.talk is not None or self.until_bye or self.dtmf):
            raise ConfigurationError("a caller who is to be refused does nothing after an answer")
        if not (self.patience or self.talk or self.until_bye or self.dtmf or self.expects_refusal):
            raise ConfigurationError("a caller needs a behaviour: until-bye, talk:S, patience:S or refused")

    @property
    def leaves_held(self) -> bool:
        """Whether ``patience`` goes on after the answer (it stands alone)."""
        return self.patience is not None and self.talk is None and not self.until_bye

    def __str__(self) -> str:
        items = [f"patience:{self.patience}"] if self.patience is not None else []
        items += [f"dtmf:{self.dtmf}"] if self.dtmf else []
        items += [f"talk:{self.talk}"] if self.talk is not None else []
        items += ["until-bye"] if self.until_bye else []
        items += ["refused"] if self.expects_refusal else []
        return "+".join(items)


def _items(text: str) -> list[tuple[str, str]]:
    """The ``name:value`` items of ``text``, in order; a name given twice is an error."""
    items: list[tuple[str, str]] = []
    for part in text.strip().split("+"):
        name, _, value = part.strip().partition(":")
        if any(name == earlier for earlier, _ in items):
            raise ConfigurationError(f"{text!r}: {name!r} is given twice")
        items.append((name, value.strip()))
    return items


def parse_phone_behaviour(text: str) -> PhoneBehaviour:
    """Read a phone's behaviour (grammar above); ConfigurationError says what is wrong and what is known."""
    whole = text.strip()
    match whole:
        case "never":
            return RingsForEver()
        case "silent":
            return Silent()
        case "absent":
            return Absent()
    refusal = _REFUSE_ITEM.fullmatch(whole)
    if refusal is not None:
        code = int(refusal["code"]) if refusal["code"] else _REFUSALS[refusal["name"]]
        return Refuses(code, Duration.parse(refusal["after"]) if refusal["after"] else NOW)
    after, talk, transfer_to, answers = NOW, None, None, False
    for name, value in _items(whole):
        match name:
            case "answer" if not value and not answers:
                answers = True
            case "answer-after" if not answers:
                answers, after = True, Duration.parse(value)
            case "talk":
                talk = Duration.parse(value)
            case "transfer":
                transfer_to = value
            case _:
                raise ConfigurationError(
                    f"{text!r} is no phone behaviour (at {name!r}); known: answer, answer-after:S, busy, decline, "
                    "unavailable, refuse:CODE (each refusal also with -after:S), never, silent, absent; "
                    "and with an answer talk:S, transfer:EXTENSION"
                )
    return Answers(after, talk, transfer_to)


def parse_caller_behaviour(text: str) -> CallerBehaviour:
    """Read a caller's behaviour (grammar above); ConfigurationError says what is wrong and what is known."""
    patience, talk, until_bye, dtmf, refused = None, None, False, "", False
    for name, value in _items(text):
        match name:
            case "patience":
                patience = Duration.parse(value)
            case "talk":
                talk = Duration.parse(value)
            case "until-bye" if not value:
                until_bye = True
            case "dtmf" if value:
                dtmf = value
            case "refused" if not value:
                refused = True
            case _:
                raise ConfigurationError(
                    f"{text!r} is no caller behaviour (at {name!r}); known: "
                    "until-bye, talk:S, patience:S, dtmf:KEYS, refused"
                )
    return CallerBehaviour(patience, talk, until_bye, dtmf, refused)
