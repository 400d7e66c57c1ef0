"""What customers of the lab may be told to do, whom a number reaches, and the sounds they make."""

from __future__ import annotations

import wave
from collections import Counter
from pathlib import Path

import pytest

from acd.domain.errors import ConfigurationError
from acd.lab import sounds
from acd.lab.behaviours import Duration
from acd.lab.customer_words import Chooser, CustomerBehaviour, parse_customer

NOW = Duration.fixed(0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("never", {"rings_for_ever": True}),
        ("silent", {"silent": True}),
        ("busy", {"code": 486}),
        ("congestion", {"code": 503}),
        ("invalid", {"code": 404}),
        ("decline", {"code": 603}),
        ("unavailable", {"code": 480}),
        ("refuse:488", {"code": 488}),
        ("busy-after:exp(3)", {"code": 486, "after": Duration("exp", (3.0,))}),
        ("refuse:500-after:2", {"code": 500, "after": Duration.fixed(2)}),
        ("early+never", {"rings_for_ever": True, "early": True}),
        ("early+invalid-after:2", {"code": 404, "after": Duration.fixed(2), "early": True}),
        ("unavailable+cause:1", {"code": 480, "cause": 1}),
        (
            "cause:127 + refuse:500-after:1+early",
            {"code": 500, "after": Duration.fixed(1), "early": True, "cause": 127},
        ),
        ("answer", {}),
        (" answer-after:2 + hello+talk:0", {"after": Duration.fixed(2), "says": "hello", "talk": NOW}),
        ("answer+machine", {"says": "machine"}),
        ("answer+machine:a/b.wav", {"says": "machine", "file": Path("a/b.wav")}),
        ("early+answer+fax", {"early": True, "says": "fax"}),
        ("tone+answer+press:1,2#", {"says": "tone", "keys": "1,2#"}),
        ("answer+press-unheard:,9", {"keys": ",9", "unheard": True}),
    ],
)
def test_words(text: str, expected: dict[str, object]) -> None:
    assert parse_customer(text) == CustomerBehaviour(text.strip(), **expected)  # type: ignore[arg-type]
    assert parse_customer(text).answers is (not {"code", "rings_for_ever", "silent"} & expected.keys())


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "no customer's behaviour"),
        ("busi", "busy"),
        ("hello", "does he answer"),
        ("talk:3", "does he answer"),
        ("answer+answer-after:3", "second time"),
        ("answer+hello+machine", "second time"),
        ("answer+talk:x", "no duration"),
        ("answer+press:", "press"),
        ("answer+press:x", "press"),
        ("answer+press:1+press-unheard:2", "second time"),
        ("answer+hello:loud", "hello:loud"),
        ("busy+talk:3", "busy"),
        ("busy+cause:128", "from 1 to 127"),
        ("busy+cause:0", "from 1 to 127"),
        ("busy+cause:1+cause:2", "busy"),
        ("busy+early+early", "busy"),
        ("never+cause:1", "never"),
        ("answer+cause:1", "cause:1"),
        ("early", "does he answer"),
        ("refuse:200", "400 to 699"),
        ("refuse:407", "400 to 699"),
        ("never-after:3", "never-after"),
    ],
)
def test_what_is_none_is_said_to_be_none(text: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        parse_customer(text)


def chooser(mix: dict[str, float], numbers: dict[str, str] | None = None, seed: int = 1) -> Chooser:
    told = {number: parse_customer(text) for number, text in (numbers or {}).items()}
    return Chooser({parse_customer(text): weight for text, weight in mix.items()}, told, seed=seed)


def test_whom_a_number_reaches() -> None:
    made = chooser({"never": 1}, {"+4930*": "busy", "49301*": "invalid", "493011": "answer", "*": "decline"})
    assert [str(made.reaction(number).behaviour) for number in ("+493011", "493012", "+49309", "+4940", "")] == [
        "answer",
        "invalid",
        "busy",
        "decline",
        "decline",
    ]


def test_the_same_seed_number_and_count_give_the_same() -> None:
    mix = {"answer-after:exp(8)+talk:exp(60)": 3.0, "busy": 1.0}

    def all_of(seed: int, numbers: list[str]) -> dict[tuple[str, int], object]:
        made, found, counts = chooser(mix, seed=seed), {}, Counter[str]()
        for number in numbers:
            counts[number] += 1
            found[number, counts[number]] = made.reaction(number)
        return found

    numbers = [f"49{index % 50}" for index in range(200)]
    assert all_of(1, numbers) == all_of(1, numbers[::-1])
    assert all_of(1, numbers) != all_of(2, numbers)
    drawn = all_of(1, [str(index) for index in range(4000)]).values()
    share = sum(one.behaviour.code is None for one in drawn) / 4000  # type: ignore[attr-defined]
    assert 0.72 < share < 0.78
    assert len({one.after_s for one in drawn}) > 1000  # type: ignore[attr-defined]


@pytest.mark.parametrize("mix", [{}, {"busy": 0.0}, {"busy": 2.0, "never": -1.0}])
def test_weights(mix: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="weights"):
        chooser(mix)


def test_sound_is_told_from_silence() -> None:
    assert not sounds.is_audible(sounds.SILENCE)
    assert not sounds.is_audible(sounds.tone(400, 0.02, amplitude=100))
    assert sounds.is_audible(sounds.tone(400, 0.02))
    assert not sounds.is_audible(b"")
    assert sounds.is_audible(sounds.hello()[-4000:])
    assert [len(frame) for frame in sounds.frames(b"\x00" * 200)] == [160, 160]
    assert sounds.frames(b"\x00" * 200)[1] == b"\x00" * 40 + b"\xff" * 120


def test_mu_law_is_that_of_the_standard() -> None:
    """G.711: both zeros, small and large ones, and the ends; each within its step."""
    known = {
        0: 0xFF,
        8: 0xFE,
        -8: 0x7E,
        1000: 0xCE,
        -1000: 0x4E,
        32_124: 0x80,
        -32_124: 0x00,
        32_767: 0x80,
        -32_768: 0x00,
    }
    assert {sample: sounds._encode(sample) for sample in known} == known
    for sample in range(-32_000, 32_001, 37):
        assert abs(sounds._decode(sounds._encode(sample)) - sample) <= max(4, abs(sample) // 16)


def test_a_greeting_from_a_file(tmp_path: Path) -> None:
    def written(name: str, rate: int, channels: int = 1, frames: int = 800) -> Path:
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes((b"\x00\x20" * channels) * frames)
        return tmp_path / name

    assert sounds.from_wav(written("good.wav", 8000)) == bytes([sounds._encode(0x2000)]) * 800
    with pytest.raises(ConfigurationError, match="44100 Hz"):
        sounds.from_wav(written("fast.wav", 44_100))
    with pytest.raises(ConfigurationError, match="2 channel"):
        sounds.from_wav(written("stereo.wav", 8000, 2))
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    with pytest.raises(ConfigurationError, match=r"bad\.wav"):
        sounds.from_wav(tmp_path / "bad.wav")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        sounds.from_wav(tmp_path / "none.wav")
