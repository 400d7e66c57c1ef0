"""What the database refuses for good of what is dialled: the rest goes on, and nobody behind it is dialled again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from acd.domain import outbound as wire
from acd.domain.campaigns import AttemptOutcome, CampaignState, Mode
from acd.outbound import asidefile
from acd.outbound import words as say
from acd.outbound.asidefile import FILE, AsideFile
from acd.outbound.recent import KEPT_S, Recent
from acd.outbound.withheld import AGAIN_S, MOST
from acd.store.outbound.outbound import Outbound
from outbound.dialkit import World, campaign, terms
from outbound.test_runtime import NODE, NOON, BrittleShelf, Stand, clock, definition, stand

__all__ = ["stand"]

REFUSES = """CREATE TRIGGER refuses BEFORE {what} ON attempts WHEN new.contact = 2
BEGIN SELECT RAISE(ABORT, 'contact 2 of +4930999 is not wanted'); END"""


async def dialling(stand: Stand, tmp_path: Path, what: str) -> list[tuple[str, str]]:
    """Begin, with a database that refuses ``what`` of contact 2; the alarms with what they say."""
    store = Outbound(f"sqlite:///{stand.path}", str)
    await store.ask(lambda connection: connection.exec_driver_sql(REFUSES.format(what=what)))
    await store.close()
    told: list[tuple[str, str]] = []
    stand.shelf._aside = AsideFile(tmp_path / FILE)
    stand.dialling._alarm = lambda kind, detail: told.append((kind, detail))
    await stand.up()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    return told


async def test_an_attempt_that_cannot_be_recorded_is_not_dialled_and_holds_nobody_up(
    stand: Stand, tmp_path: Path
) -> None:
    told = await dialling(stand, tmp_path, "INSERT")
    await stand.until(lambda: len(stand.sent) == 3)
    assert stand.rows("SELECT contact FROM attempts ORDER BY contact") == [(1,), (3,), (4,)]
    for command in list(stand.sent):
        stand.over(command)
    await stand.until(lambda: len(stand.sent) == 6)
    # Until the next start nobody tries again
    assert stand.rows("SELECT state FROM contacts WHERE contact = 2") == [("in_flight",)]
    assert 2 in stand.dialling.core.held()
    ((kind, detail),) = told
    assert kind == "outbound_refused"
    assert "attempts, which are not dialled: 00000100000002" in detail
    assert (str(tmp_path / FILE) in detail, "+4930999" in detail, "contact 2 of ... is" in detail) == (
        True,
        False,
        True,
    )
    (line,) = (tmp_path / FILE).read_text().splitlines()
    assert json.loads(line)["row"]["contact"] == 2
    assert stand.dialling.counters()["outbound_refused_for_good"] == 1


async def next_life(stand: Stand, folder: Path, epoch: int) -> Stand:
    """Another start on the same database and the same file."""
    found = Stand(stand.path, BrittleShelf(Outbound(f"sqlite:///{stand.path}", str), str), definition(), epoch)
    found.shelf._aside = AsideFile(folder / FILE)
    await found.up()
    return found


@pytest.mark.parametrize("came_to", [AttemptOutcome.BUSY, AttemptOutcome.ABANDONED])
async def test_what_an_attempt_came_to_that_cannot_be_kept_is_charged_once_and_not_dialled_again(
    stand: Stand, tmp_path: Path, came_to: AttemptOutcome
) -> None:
    told = await dialling(stand, tmp_path, "UPDATE")
    await stand.until(lambda: len(stand.sent) == 3)
    (second,) = (one for one in stand.sent if isinstance(one, wire.PlaceAttempt) and one.number == "+49301000001")
    runner = stand.dialling.core.runners["win"]
    assert runner.book.slack(clock().utc).charged == 0.0
    if came_to is AttemptOutcome.ABANDONED:
        at = clock().utc
        stand.dialling.tell(wire.AttemptAnswered(at - 60, NODE, second.attempt, "PJSIP/carrier-1"))
        stand.dialling.tell(wire.AttemptOver(at, NODE, second.attempt, None, 16, "", answered=True))
    for command in list(stand.sent):
        if command is not second or came_to is AttemptOutcome.BUSY:
            stand.over(command)
    await stand.until(lambda: len(stand.sent) == 6)
    await stand.until(lambda: told)
    assert [kind for kind, _ in told] == ["outbound_refused"]
    assert f"what attempts came to: {second.attempt}" in told[0][1]
    assert runner.book.slack(clock().utc).charged == 1.0
    assert stand.rows("SELECT attempt FROM attempts WHERE contact = 2 AND ended_at IS NULL") == [(second.attempt,)]
    assert stand.rows("SELECT state FROM contacts WHERE contact = 2") == [("in_flight",)]
    # Nor is anybody else who has the number
    assert stand.dialling.core.numbers[second.number] == second.attempt
    charged = "SELECT sum(abandoned + unknown) FROM campaign_ledgers"
    await stand.until(lambda: stand.rows(charged) == [(1.0,)])
    await stand.until(lambda: AsideFile(tmp_path / FILE).charged() == {second.attempt})
    # The next life cannot settle it either
    await stand.dialling.set_state("win", CampaignState.STOPPED, "anna", "")
    for command in stand.sent[3:]:
        stand.over(command)
    await stand.until(lambda: stand.rows("SELECT attempt FROM attempts WHERE ended_at IS NULL") == [(second.attempt,)])
    await stand.dialling.close()
    second_life = await next_life(stand, tmp_path, 2)
    await second_life.until(lambda: "outbound_refused" in second_life.alarms)
    await second_life.dialling.close()
    assert stand.rows(charged) == [(1.0,)]
    # The one after that follows it up as what it cannot know
    store = Outbound(f"sqlite:///{stand.path}", str)
    await store.ask(lambda connection: connection.exec_driver_sql("DROP TRIGGER refuses"))
    await store.close()
    third_life = await next_life(stand, tmp_path, 3)
    query = "SELECT outcome FROM attempts WHERE attempt = ?"
    await third_life.until(lambda: third_life.rows(query, second.attempt) == [("unknown",)])
    assert stand.rows(charged) == [(1.0,)]
    await third_life.dialling.close()


def refused(what: say.Batch) -> say.Written:
    return say.Written(aside=say.SetAside(what, "no", "it is nowhere"))


def test_an_opt_out_that_cannot_be_kept_holds_to_the_end_of_this_life() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=1, contacts=3)
    number = "+49301230001"
    recent = world.core.recent
    for one, held in ((number, True), ("+49301230002", False)):
        recent.opted_out[one, "all"] = world.now.utc
        if held:
            world.core.handle(refused(say.Batch(opt_outs=(say.OptOut(one, "all", "x", 1.0),))), world.now)
    recent.note("y", "+4930", "win", world.now.utc)
    recent.over("y", "+4930", world.now.utc + KEPT_S + 1)
    assert recent.asked_not_to([number], "any") == world.now.utc
    assert recent.asked_not_to(["+49301230002"], "any") is None
    assert (recent.holds_opt_out([number], None), recent.holds_opt_out(["+49301230002"], None)) == (True, False)


def test_an_opt_out_without_a_number_is_held_of_whom_it_was_heard() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=2, contacts=30, answers=0.0)
    world.run(60.0)
    core = world.core
    over = next(iter(world.kept.outcomes))
    (flying, *_) = core.flights.values()
    for attempt in (over, flying.attempt):
        core.handle(refused(say.Batch(opt_outs=(say.OptOut("", "", attempt, 1.0),))), world.now)
    assert core.recent.holds_opt_out([world.kept.attempts[over].number], None)
    assert core.recent.holds_opt_out([flying.number], "some client")
    assert not core.recent.holds_opt_out(["+4930"], None)


def test_an_opt_out_that_is_known_by_its_hash_alone_is_held() -> None:
    recent = Recent(lambda number: f"hmac:{number[::-1]}")
    recent.hold_opt_out("+4930123", "all")
    assert (recent.holds_opt_out(["+4930123"], None), recent.holds_opt_out(["+4930124"], None)) == (True, False)
    recent.hold_opt_out("hmac:4210394+", "client:us")
    assert (recent.holds_opt_out(["+4930124"], "us"), recent.holds_opt_out(["+4930124"], "them")) == (True, False)


def test_who_opted_out_in_the_moment_in_which_he_is_to_be_dialled_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=1, contacts=3)
    take, heard, late = world.kept.take, [], []

    def takes(batch: say.Batch, epoch: int, now_s: float) -> say.Written | None:
        found = take(batch, epoch, now_s)
        if found is None or not found.recorded or heard:
            return found
        late.append(batch.made[0])
        heard.append(say.OptOut(batch.made[0].number, "all", "00000100000000", world.now.utc))
        return replace(found, aside=say.SetAside(say.Batch(opt_outs=tuple(heard)), "no", "nowhere"))

    monkeypatch.setattr(world.kept, "take", takes)
    world.run(300.0)
    assert world.placed
    assert late[0].attempt not in world.placed
    assert set(world.by_contact) == {1, 2, 3} - {late[0].contact}
    assert "outbound_refused" in world.alarms


def test_a_campaign_whose_ledger_is_refused_waits_and_keeps_its_counts() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=2, contacts=30)
    world.run(5.0)
    core, runner = world.core, world.core.runners["win"]
    windows = runner.book.take()
    before = runner.book.windows()
    core.handle(refused(say.Batch(ledgers={"win": windows})), world.now)
    assert not runner.book.changed, "said again at once, it would be refused at once"
    assert runner.book.windows() == before
    assert runner.waits(world.now).until_s == world.now.utc + AGAIN_S
    placed = len(world.placed)
    core.handle(say.Look(world.seats()), world.now)
    assert len(world.placed) == placed
    runner.book.charge(world.now.utc)
    assert runner.book.take()[-1].unknown == before[-1].unknown + 1


def test_an_attempt_is_said_to_be_charged_once_its_ledger_is_durable() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=2, contacts=30, answers=0.0)
    world.run(60.0)
    core, book = world.core, world.core.runners["win"].book
    attempt = next(iter(world.kept.outcomes))
    book.take()
    core.handle(refused(say.Batch(ended=(say.Ended(attempt, AttemptOutcome.UNKNOWN, 1.0, None),))), world.now)
    batch = core.batch(world.now)
    assert batch is not None
    assert (batch.charged, list(batch.ledgers)) == (((attempt, "win"),), ["win"])
    # Refused, it is said with the next change of the ledger; unheard of, with the next batch
    core.handle(refused(say.Batch(ledgers=batch.ledgers)), world.now)
    assert (core.batch(world.now) or say.Batch()).charged == ()
    book.charge(world.now.utc)
    batch = core.batch(world.now)
    assert batch is not None
    assert batch.charged == ((attempt, "win"),)
    core.handle(say.NotWritten(batch, "away"), world.now)
    batch = core.batch(world.now)
    assert batch is not None
    assert batch.charged == ((attempt, "win"),)
    core.handle(say.Written(), world.now)
    book.charge(world.now.utc)
    batch = core.batch(world.now)
    assert batch is not None
    assert batch.charged == ()


async def test_what_cannot_be_noted_as_charged_is_charged_again(tmp_path: Path) -> None:
    file = AsideFile(tmp_path / FILE)
    assert file.charged() == frozenset()
    file.add(say.Batch(ended=(say.Ended("1", AttemptOutcome.BUSY, 1.0, None),)), "no", NOON)
    assert file.charged() == frozenset()
    file.charge(["2", "3"], NOON)
    with file.path.open("ab") as opened:
        opened.write(b'\xff\n[1]\n{"what": "charged", "row": 5}\n{"what": "charged"}\n\n')
    file.charge(["4"], NOON)
    assert file.charged() == {"2", "3", "4"}
    file.path.unlink()
    file.path.mkdir()
    shelf = BrittleShelf(Outbound(f"sqlite:///{tmp_path}/none.db", str), str, aside=file)
    assert await shelf._charged() == frozenset()
    await shelf._note_charged(["5"], NOON)


async def test_what_was_refused_at_the_end_is_charged_before_it_ends(stand: Stand, tmp_path: Path) -> None:
    await dialling(stand, tmp_path, "UPDATE")
    await stand.until(lambda: len(stand.sent) == 3)
    (second,) = (one for one in stand.sent if isinstance(one, wire.PlaceAttempt) and one.number == "+49301000001")
    stand.over(second)
    await stand.dialling.close()
    assert stand.rows("SELECT sum(unknown) FROM campaign_ledgers") == [(1.0,)]
    assert AsideFile(tmp_path / FILE).charged() == {second.attempt}


def test_when_too_much_is_refused_nobody_is_dialled() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=2)
    world.run(2.0)
    core = world.core
    gone = tuple((100_000 + n, None) for n in range(MOST - 1))
    actions = core.handle(refused(say.Batch(releases=gone)), world.now)
    (alarm,) = actions
    assert isinstance(alarm, say.Alarm)
    assert alarm.detail.count(",") < 10
    assert core.held_up(world.now) is None
    core.handle(refused(say.Batch(blocks=((5, True),))), world.now)
    held_up = core.held_up(world.now)
    assert held_up is not None
    assert held_up[0] == "refused"


def test_the_file_takes_all_of_a_batch_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = AsideFile(tmp_path / FILE, lambda number: f"hmac:{number[::-1]}")
    batch = say.Batch(
        opt_outs=(say.OptOut("+4930123", "all", "1", 1.0), say.OptOut("", "all", "2", 1.0)), releases=((1, 1e20),)
    )
    file.add(batch, "no", NOON)
    text = (tmp_path / FILE).read_text()
    assert [json.loads(line)["row"] for line in text.splitlines()] == [
        {"number": "hmac:3210394+", "scope": "all", "attempt": "1", "at_s": 1.0},
        {"number": "", "scope": "all", "attempt": "2", "at_s": 1.0},
        [1, 1e20],
    ]
    monkeypatch.setattr(asidefile, "MOST_BYTES", len(text) * 2 - 1)
    with pytest.raises(OSError, match="take it away"):
        file.add(batch, "no", NOON)
    monkeypatch.undo()
    with monkeypatch.context() as patch:

        def fails(_: int) -> None:
            raise OSError("no space left")

        patch.setattr("os.fsync", fails)
        with pytest.raises(OSError, match="no space left"):
            file.add(batch, "no", NOON)
    assert (tmp_path / FILE).read_text() == text
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        file.add(batch, "no", NOON)


async def test_what_cannot_be_set_aside_is_said_to_be_lost(stand: Stand, tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    told = await dialling(stand, tmp_path, "INSERT")
    await stand.until(lambda: len(stand.sent) == 3)
    assert "it is lost: " in told[0][1]
