"""The manager protocol read in the dumbest way that is right: the yardstick for the fast one."""

from __future__ import annotations


def plain_messages(wire: bytes) -> list[dict[str, str]]:
    """Every message of a whole recording (greeting included), as ``parse_message`` should give it."""
    text = wire.decode(errors="replace").split("\r\n", 1)[1]
    messages: list[dict[str, str]] = []
    current: dict[str, str] = {}
    for line in text.split("\r\n")[:-1]:
        if line == "":
            if current:
                messages.append(current)
            current = {}
            continue
        colon = line.index(":")
        name, value = line[:colon], line[colon + 1 :].removeprefix(" ")
        if name.endswith("Variable") and "=" in value:
            variable, value = value.split("=", 1)
            name = f"{name}({variable})"
            value = _unescape(value) if "Chan" in name else value
        elif name.startswith("ChanVariable("):
            variable, value = value.split("=", 1)
            name = f"ChanVariable({variable})"
        current[name] = f"{current[name]}\n{value}" if name in current else value
    return messages


def _unescape(value: str) -> str:
    result, escaped = "", False
    for character in value:
        if escaped:
            result += {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}.get(
                character, character
            )
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            result += character
    return result
