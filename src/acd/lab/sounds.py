"""Sounds for lab calls as G.711 mu-law at 8 kHz: made here or read from a WAV file; and telling sound from silence.

Pure but for reading the file. What is said is bursts of tones: machines are told from people by the lengths of words and
pauses, not by what they say.
"""

from __future__ import annotations

import functools
import math
import wave
from array import array
from collections.abc import Iterable
from pathlib import Path

from acd.domain.errors import ConfigurationError

RATE = 8000
FRAME = 160
"""Samples, and bytes, of 20 ms."""
SILENCE = b"\xff" * FRAME
LONGEST_S = 120
_AUDIBLE = 500
"""Amplitude, of 32,767."""


def _encode(sample: int) -> int:
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    magnitude = min(magnitude, 32_635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | (magnitude >> (exponent + 3)) & 0x0F) & 0xFF


def _decode(code: int) -> int:
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 132 << ((code & 0x70) >> 4)) - 132
    return -magnitude if code & 0x80 else magnitude


_LOUD = bytes(int(abs(_decode(code)) >= _AUDIBLE) for code in range(256))


def is_audible(payload: bytes) -> bool:
    """Whether mu-law ``payload`` is more than silence or comfort noise."""
    return payload.translate(_LOUD).count(1) > len(payload) // 16


def tone(hertz: float, seconds: float, amplitude: int = 6000) -> bytes:
    """A tone."""
    step = 2 * math.pi * hertz / RATE
    return bytes(_encode(round(amplitude * math.sin(step * index))) for index in range(round(RATE * seconds)))


def quiet(seconds: float) -> bytes:
    """Silence."""
    return b"\xff" * round(RATE * seconds)


def _said(words: Iterable[tuple[float, float]]) -> bytes:
    """Words, each ``(length_s, pause_s)``."""
    return b"".join(tone(210, length_s) + quiet(pause_s) for length_s, pause_s in words)


@functools.cache
def hello() -> bytes:
    """A person: half a second of nothing, one word."""
    return quiet(0.4) + _said([(0.5, 0.0)])


@functools.cache
def greeting() -> bytes:
    """A machine: ten words without a rest, a beep."""
    return quiet(0.2) + _said([(0.42, 0.06)] * 10) + quiet(0.3) + tone(1000, 0.4)


@functools.cache
def fax_calling() -> bytes:
    """The tone of a calling fax (CNG): half a second of 1,100 Hz every 3.5 s."""
    return (tone(1100, 0.5, 12_000) + quiet(3.0)) * 3


@functools.cache
def hum() -> bytes:
    """A second of a tone, to be repeated."""
    return tone(400, 1.0)


@functools.lru_cache(maxsize=32)
def from_wav(path: Path) -> bytes:
    """A WAV file (PCM, 16 bits, mono, 8 kHz, two minutes at most). Raises ConfigurationError."""
    try:
        with wave.open(str(path), "rb") as file:
            shape = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            if shape != (1, 2, RATE) or file.getnframes() > LONGEST_S * RATE:
                raise ConfigurationError(
                    f"{path}: a greeting is mono, 16 bits, 8000 Hz, {LONGEST_S} s at most; this one has {shape[0]} "
                    f"channel(s), {shape[1] * 8} bits, {shape[2]} Hz (sox {path} -r 8000 -c 1 -b 16 out.wav makes it so)"
                )
            samples = array("h", file.readframes(file.getnframes()))
    except (OSError, EOFError, wave.Error) as error:
        raise ConfigurationError(f"{path} cannot be read as a WAV file: {error}") from error
    return bytes(map(_encode, samples))


def frames(sound: bytes) -> list[bytes]:
    """``sound`` in pieces of 20 ms, the last one filled up."""
    pieces = [sound[start : start + FRAME] for start in range(0, len(sound), FRAME)]
    if pieces:
        pieces[-1] = pieces[-1].ljust(FRAME, b"\xff")
    return pieces
