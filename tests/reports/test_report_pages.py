"""Pages in a real browser, which the lab brings."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from reportkit import fill, make_world

from acd.cli.report_html import page
from acd.lab.browser import Browser
from acd.lab.parts import CHROMIUM, ensure
from acd.reports import catalogue
from acd.reports.ask import Ask
from acd.reports.database import open_database
from acd.reports.moments import Period

MEASURE = (
    "<script>const b=document.body;document.title='measured '+[document.documentElement.scrollWidth,innerWidth,"
    "b.scrollHeight,getComputedStyle(b).backgroundColor,document.querySelectorAll('svg rect').length].join('|')</script>"
)


@pytest.fixture(scope="module")
def browser() -> Browser:
    return Browser(ensure(CHROMIUM))


def html_of(url: str, name: str, *by: str) -> str:
    chance = random.Random(7)
    world = make_world(3, size=200)
    for call in world.calls:
        call["caller_name"] = chance.choice(("<b>Bär</b>", "W" * 200, "a b c " * 30))
    fill(url, world)
    with open_database(url) as database:
        ask = Ask(Period(world.from_s, world.to_s), world.zone, world.now, by=by)
        return page(catalogue.make(database, catalogue.find(name), ask))


def measured(browser: Browser, text: str, path: Path, width: int) -> tuple[int, int, int, str, int]:
    """(width needed, width there is, height, background, bars)"""
    open_to_scripts = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    path.write_text(open_to_scripts.replace("</body>", f"{MEASURE}</body>"))
    found = re.search(r"<title>measured ([^<]*)</title>", browser.laid_out(path, width=width))
    assert found is not None
    needed, there, height, background, bars = found[1].split("|")
    return int(needed), int(there), int(height), background, int(bars)


@pytest.mark.parametrize(
    ("name", "by", "width"),
    [
        ("service", ("hour",), 420),
        ("service", ("hour",), 1280),
        ("service", ("day", "queue"), 420),
        ("heatmap", (), 420),
        ("timeline", (), 420),
        ("abandoned", (), 420),
    ],
)
def test_no_page_is_wider_than_its_window(
    browser: Browser, report_url: str, tmp_path: Path, name: str, by: tuple[str, ...], width: int
) -> None:
    text = html_of(report_url, name, *by)
    needed, there, height, _, bars = measured(browser, text, tmp_path / "page.html", width)
    assert needed <= there
    assert height > 400
    assert (bars > 0) == (name in ("service", "timeline"))


def test_a_page_forbids_itself_scripts(browser: Browser, report_url: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(html_of(report_url, "abandoned").replace("</body>", f"{MEASURE}</body>"))
    assert "<title>measured" not in browser.laid_out(path)


def test_pictures_light_and_dark_and_paper(browser: Browser, report_url: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(html_of(report_url, "heatmap"))
    browser.picture(path, tmp_path / "light.png")
    browser.picture(path, tmp_path / "dark.png", dark=True)
    browser.paper(path, tmp_path / "page.pdf")
    light, dark = ((tmp_path / name).read_bytes() for name in ("light.png", "dark.png"))
    assert light.startswith(b"\x89PNG")
    assert light != dark
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
