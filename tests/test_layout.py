"""How the page is laid out: nothing is cut off or jumps at any width, and everybody can use it."""

from functools import partial
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import DESKTOP, PHONE, TABS, WAIT, clear, draw_on, expect_winner, open_tab, sentence, visit
from playwright.sync_api import expect
from strokes import place

SEVEN = place(7, 180, 80, 50)
WIDTHS = (320, 390, 480, 699, 700, 820, 899, 900, 1099, 1100, 1280, 2560)
SCHEMES = ("light", "dark")

# A visit with the functions of layout.js.
visit_measured = partial(visit, script=(Path(__file__).parent / "layout.js").read_text())


def fill(page, tab):
    """Opens a tab with something drawn on it, and something taught."""
    open_tab(page, tab)
    for pad in ("left", "right") if tab == "compare" else ("pad",):
        clear(page, pad)
        draw_on(page, pad, SEVEN)
    if tab == "compare":
        expect(sentence(page)).to_contain_text("the same", timeout=WAIT)
        return
    expect_winner(page, 7)
    if tab == "teach" and not page.locator("ul.taught li").count():
        page.locator("#teach input[type=text]").fill("a very long name 123")
        page.locator(".learn").click()
        expect(page.locator(".row")).to_have_count(11, timeout=WAIT)
        draw_on(page, "pad", SEVEN)
        expect(page.locator(".map .you")).to_be_visible(timeout=WAIT)


@pytest.mark.parametrize("tab", TABS)
def test_nothing_is_cut_off_squashed_or_overlapping_at_any_width(browser, site, tab):
    with visit_measured(browser, site) as page:
        for full in (False, True):
            open_tab(page, tab)
            if full:
                fill(page, tab)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 800})
                assert page.evaluate("cutOff()") == [], (width, full)
                assert page.evaluate("overlapping()") == [], (width, full)
        page.set_viewport_size({"width": 844, "height": 390})  # A phone on its side: the whole pad is seen.
        assert page.evaluate("cutOff()") == []
        assert page.locator(".paper:visible").first.bounding_box()["height"] < 390
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            page.evaluate("document.documentElement.style.fontSize = '200%'")
            assert page.evaluate("cutOff()") == [], f"{width}, text of 200 %"
            page.evaluate("document.documentElement.style.fontSize = ''")


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_nothing_jumps_when_the_page_comes_nor_while_it_is_used(browser, site, size):
    with visit_measured(browser, site, viewport=size) as page:
        page.wait_for_timeout(500)
        assert page.evaluate("shift") <= 0.01
        for tab in TABS:
            open_tab(
                page, tab
            )  # Where one tab is shorter than another, the foot of the page moves: that was asked for.
            before = page.evaluate("shift")
            fill(page, tab)
            assert page.evaluate("shift") - before <= 0.01
        page.wait_for_timeout(600)
        assert page.evaluate("shiftUnasked") <= 0.01


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_and_every_part_has_its_contrast(browser, site, scheme):
    with visit_measured(browser, site, color_scheme=scheme) as page:
        for tab in TABS:
            fill(page, tab)
            found = Axe().run(page)
            assert found.response["violations"] == [], found.generate_report()
            assert page.evaluate("faintParts()") == []
            assert page.locator("h1:visible").count() == 1
        page.locator(".nearest button:visible").first.click()
        assert Axe().run(page).response["violations"] == []


def test_fingers_find_controls_of_44_pixels(browser, site):
    with visit_measured(browser, site, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        for tab in TABS:
            fill(page, tab)
            for control in page.locator(".siamese :is(button, input[type=text]):visible").all():
                box = control.bounding_box()
                assert min(box["width"], box["height"]) >= 43.9, control.evaluate("e => e.outerHTML")[:120]


def test_arrow_keys_move_between_tabs_and_nothing_jumps_at_teaching(browser, site):
    with visit_measured(browser, site) as page:
        page.locator("#tab-match").focus()
        for key, tab in (("ArrowRight", "compare"), ("ArrowRight", "teach"), ("ArrowRight", "match"), ("End", "teach")):
            page.keyboard.press(key)
            expect(page.locator(f"#tab-{tab}")).to_be_focused()
            expect(page.locator(f"#{tab}")).to_be_visible()
            assert page.locator("[role=tabpanel]:visible").count() == 1
        where = "scrollY + document.querySelector('#pad canvas').getBoundingClientRect().top"
        before = page.evaluate(where)
        fill(page, "teach")
        assert page.evaluate(where) == before


def test_colours_that_a_reader_forces_leave_the_page_usable(browser, site):
    with visit_measured(browser, site, forced_colors="active") as page:
        fill(page, "match")
        colours = page.locator(".row.winner").evaluate(
            "row => ['em', 'i'].map((part) => getComputedStyle(row.querySelector(part)).backgroundColor)"
        )
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground not in colours
