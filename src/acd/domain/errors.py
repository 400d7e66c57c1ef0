"""The one exception tree.

Three branches, because three different people must act: the operator (configuration), the telephony engineer
(Asterisk misbehaved or is not what we need) and us (we misused something). A message says what happened, where,
and what to do. Nothing else belongs here.
"""

from __future__ import annotations


class AcdError(Exception):
    """Anything acd raises on purpose. ``str(error)`` is fit to show a person."""


class ConfigurationError(AcdError):
    """The operator's configuration is wrong. ``problems`` holds one readable line a problem, all of them at once."""

    def __init__(self, problems: list[str] | str) -> None:
        self.problems: list[str] = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class AsteriskError(AcdError):
    """Asterisk (or something that claims to be it) refused, vanished, or answered nonsense."""


class AmiAuthenticationError(AsteriskError):
    """The manager interface refused user name or secret."""


class AmiDisconnectedError(AsteriskError):
    """The manager connection is not up, or went down before the answer came. The action is never sent again."""


class AmiTimeoutError(AsteriskError):
    """Asterisk did not answer an action within its deadline."""


class AsteriskUnsuitableError(AsteriskError):
    """The Asterisk found is too old or lacks a module acd needs; the message names it."""


class MisuseError(AcdError):
    """acd itself asked for something that cannot be sent (line feed in a header, over-long line, unknown state)."""


class IllegalTransitionError(MisuseError):
    """A state machine was asked for a transition its table does not have. Nothing was changed."""


class StoreError(AcdError):
    """The database cannot be used as it is; the message says what to run."""


class SchemaError(StoreError):
    """The database's schema is older, newer or foreign; the message says what to run."""


class LabError(AcdError):
    """The lab could not install, start or stop a part; the message says which and what to do."""


class UnknownNameError(AcdError):
    """A queue, agent or call of that name does not exist. ``kind`` and ``name`` say which; ``nearest`` may help."""

    def __init__(self, kind: str, name: str, nearest: str | None = None) -> None:
        self.kind, self.name, self.nearest = kind, name, nearest
        hint = f" (nearest: {nearest})" if nearest else ""
        super().__init__(f"there is no {kind} named {name!r}{hint}")


class RefusedError(AcdError):
    """The request is understood and not allowed in the present state; the message says why."""


class ReportError(AcdError):
    """A report cannot be made as it was asked for (a range, a zone, an interval that makes no sense); says what would."""
