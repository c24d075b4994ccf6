"""The page in a real browser, and nothing asked of any other host."""

import base64
import re

import pytest
from browser import (
    DESKTOP,
    MATCH,
    PHONE,
    TABS,
    TEACH,
    VERIFY,
    WAIT,
    clear,
    draw_on,
    expect_blank,
    expect_winner,
    open_tab,
    sentence,
    touch_on,
    visit,
)
from conftest import as_png
from playwright.sync_api import expect
from strokes import DIGITS, SYMBOLS, draw, place

STAR = [[(30 + 2.2 * x, 30 + 2.2 * y) for x, y in SYMBOLS["star"][0]]]
PLACES = {"middle": (180, 80, 50), "small, top left": (90, 12, 12), "large, bottom right": (230, 110, 40)}
LAYOUTS = {
    f"{name}, {scheme}": {"viewport": size, "color_scheme": scheme, "has_touch": size is PHONE}
    for name, size in (("desktop", DESKTOP), ("phone", PHONE))
    for scheme in ("light", "dark")
}
VERDICT = re.compile(r"^[01]\b")
SEVEN, TWO = place(7, 180, 80, 50), place(2, 180, 80, 50)


@pytest.fixture(scope="module")
def page(browser, site):
    with visit(browser, site) as page:
        yield page


@pytest.fixture(params=LAYOUTS)
def laid_out(browser, site, request):
    with visit(browser, site, **LAYOUTS[request.param]) as page:
        yield page


@pytest.mark.parametrize("where", PLACES)
def test_each_digit_drawn_anywhere_is_that_digit(page, where):
    open_tab(page, MATCH)
    for digit in DIGITS:
        draw_on(page, "match-pad", place(digit, *PLACES[where]))
        expect_winner(page, digit)
        winner = page.locator("#match-panel .winner")
        assert float(winner.locator(".score").inner_text()) > 0.5
        assert page.locator("#match-panel .card").count() == 10
        clear(page, "match-pad")
    expect_blank(page)


def test_a_finger_draws_as_well(browser, site):
    with visit(browser, site, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        for digit in (3, 4):
            touch_on(page, "match-pad", place(digit, 180, 80, 50))
            expect_winner(page, digit)
            clear(page, "match-pad")
            expect_blank(page)


def test_the_keyboard_draws_as_well(page):
    open_tab(page, MATCH)
    clear(page, "match-pad")
    page.locator("#match-pad canvas").focus()
    for key, times in (("ArrowUp", 10), (" ", 1), ("ArrowDown", 20), (" ", 1)):
        for _ in range(times):
            page.keyboard.press(key)
    expect_winner(page, 1)


def test_undo_takes_back_one_stroke_and_ink_stays_otherwise(page):
    open_tab(page, MATCH)
    clear(page, "match-pad")
    draw_on(page, "match-pad", SEVEN)
    expect_winner(page, 7)
    before = page.locator("#match-pad canvas").evaluate("canvas => canvas.toDataURL()")
    answer = sentence(page, "match-panel").inner_text()
    draw_on(page, "match-pad", [[(20, 20), (260, 260)]])
    expect(sentence(page, "match-panel")).not_to_have_text(answer, timeout=WAIT)
    page.locator("#match-pad").get_by_role("button", name="Undo").click()
    expect(sentence(page, "match-panel")).to_have_text(answer, timeout=WAIT)
    assert page.locator("#match-pad canvas").evaluate("canvas => canvas.toDataURL()") == before
    page.locator("#match-pad").get_by_role("button", name="Undo").click()
    expect_blank(page)


def test_new_references_are_other_images_and_the_drawing_is_scored_again(page):
    open_tab(page, MATCH)
    clear(page, "match-pad")
    draw_on(page, "match-pad", SEVEN)
    expect_winner(page, 7)
    first = page.locator("#match-panel .card img").first
    shown, seen = first.get_attribute("src"), page.locator("#match-panel .seen img").get_attribute("src")
    for _ in range(3):  # one in fifty draws the same again
        page.locator("#renew").click()
        page.wait_for_timeout(300)
    expect(first).not_to_have_attribute("src", shown, timeout=WAIT)
    expect_winner(page, 7)
    assert page.locator("#match-panel .seen img").get_attribute("src") == seen


def test_an_image_can_be_uploaded_or_pasted(page):
    open_tab(page, MATCH)
    clear(page, "match-pad")
    photo = as_png(draw(place(4, 700, 200, 200), 60, size=1200, ink=40, paper=210))
    page.locator("#match-pad input").set_input_files({"name": "4.png", "mimeType": "image/png", "buffer": photo})
    expect_winner(page, 4)
    clear(page, "match-pad")
    page.evaluate(
        """async (data) => {
            const blob = await (await fetch('data:image/png;base64,' + data)).blob();
            const clipboard = new DataTransfer();
            clipboard.items.add(new File([blob], '2.png', { type: 'image/png' }));
            document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: clipboard }));
        }""",
        base64.b64encode(as_png(draw(TWO, 16))).decode(),
    )
    expect_winner(page, 2)
    page.locator("#match-pad input").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": b"no image"})
    expect(page.locator("#match-pad .hint")).to_contain_text("no image", timeout=WAIT)
    clear(page, "match-pad")
    expect(page.locator("#match-pad .hint")).not_to_contain_text("no image", timeout=WAIT)


def test_the_verdict_is_1_for_two_sevens_and_0_for_a_seven_and_a_two(page):
    open_tab(page, VERIFY)
    draw_on(page, "left-pad", SEVEN)
    draw_on(page, "right-pad", place(7, 120, 30, 120))
    expect(sentence(page, "verify-panel")).to_have_text(re.compile(r"^1\b"), timeout=WAIT)
    clear(page, "right-pad")
    draw_on(page, "right-pad", TWO)
    expect(sentence(page, "verify-panel")).to_have_text(re.compile(r"^0\b"), timeout=WAIT)
    numbers = page.locator("#verify-panel .numbers").inner_text()
    similarity, distance, threshold = map(float, re.findall(r"\d+\.\d\d", numbers))
    assert 0 <= similarity < threshold < 1
    assert distance > 0


def test_a_random_digit_fills_a_pad_and_is_compared(page):
    open_tab(page, VERIFY)
    for pad in ("left-pad", "right-pad"):
        clear(page, pad)
    expect(sentence(page, "verify-panel")).not_to_have_text(VERDICT, timeout=WAIT)
    page.locator("#left-random").click()
    draw_on_random = page.locator("#left-pad .hint")
    expect(draw_on_random).to_be_hidden(timeout=WAIT)
    page.locator("#right-random").click()
    expect(sentence(page, "verify-panel")).to_have_text(VERDICT, timeout=WAIT)


def test_one_example_teaches_a_symbol(browser, site):
    with visit(browser, site) as page:
        open_tab(page, TEACH)
        told = sentence(page, "teach-panel")
        start = told.inner_text()
        page.locator("#teach").click()
        expect(told).not_to_have_text(start, timeout=WAIT)  # nothing is drawn
        draw_on(page, "teach-pad", STAR)
        expect(page.locator("#teach-panel .seen img")).to_be_visible(timeout=WAIT)
        page.locator("#teach").click()
        expect(page.locator("#teach-panel .seen img")).to_have_count(0, timeout=WAIT)  # it has no name
        expect(page.locator("#taught li")).to_have_count(0)
        page.locator("#teach-name").locator("input, textarea").fill("<i>${star}`")
        page.locator("#teach").click()
        expect(page.locator("#taught li strong")).to_have_text("<i>${star}`", timeout=WAIT)
        draw_on(page, "teach-pad", [[(0.6 * x + 30, 0.6 * y + 60) for x, y in STAR[0]]])
        expect_winner(page, "<i>${star}`", "teach-panel")
        for digit in (7, 0, 3):
            clear(page, "teach-pad")
            draw_on(page, "teach-pad", place(digit, 180, 80, 50))
            expect_winner(page, digit, "teach-panel")
        open_tab(page, MATCH)
        expect(page.locator("#match-panel .card")).to_have_count(11)
        draw_on(page, "match-pad", STAR)
        expect_winner(page, "<i>${star}`")
    with visit(browser, site) as page:
        assert page.locator("#match-panel .card").count() == 10  # another visitor knows nothing of it


def test_nothing_is_cut_off_and_nothing_jumps(laid_out):
    width = laid_out.viewport_size["width"]
    for name, pad, panel in zip(TABS, ("match-pad", "left-pad", "teach-pad"), ("match", "verify", "teach")):
        open_tab(laid_out, name)
        expect(laid_out.locator(f"#{pad} canvas")).to_be_visible(timeout=WAIT)
        laid_out.wait_for_timeout(300)
        pads = [pad, "right-pad"] if pad == "left-pad" else [pad]
        last = laid_out.locator(f"#{panel}-panel > :last-child, #{panel}-panel .numbers, #{panel}-panel .seen").last
        before = last.bounding_box()["y"]
        for each in pads:
            draw_on(laid_out, each, SEVEN)
        expect(sentence(laid_out, f"{panel}-panel")).to_have_text(re.compile(r"7|^1\b"), timeout=WAIT)
        assert last.bounding_box()["y"] == pytest.approx(before, abs=1)
        assert laid_out.evaluate("document.documentElement.scrollWidth") <= width
        outside = laid_out.evaluate(
            """width => [...document.querySelectorAll('button, canvas, img, p, h1, li, input, textarea, strong')]
                .filter(e => e.offsetParent && e.checkVisibility({visibilityProperty: true}))
                .filter(e => !e.closest('[aria-hidden=true], .overflow-menu'))
                .filter(e => { const b = e.getBoundingClientRect();
                               return b.left < -0.5 || b.right > width + 0.5 || e.scrollWidth > e.clientWidth + 1
                                      && getComputedStyle(e).display !== 'inline' && e.tagName !== 'IMG' })
                .map(e => e.outerHTML.slice(0, 120))""",
            width,
        )
        assert not outside


def test_every_control_has_a_name_and_every_text_its_contrast(laid_out):
    for name in TABS:
        open_tab(laid_out, name)
        laid_out.wait_for_timeout(300)
        assert laid_out.locator("[role=status]:visible").count() >= 1
        nameless = laid_out.evaluate(
            """() => [...document.querySelectorAll('button, input, textarea, canvas, img')]
                .filter(e => e.offsetParent && !e.closest('[aria-hidden=true]'))
                .filter(e => !(e.innerText || e.ariaLabel || e.alt || e.labels?.[0]?.innerText || e.title))
                .map(e => e.outerHTML.slice(0, 120))"""
        )
        assert not [each for each in nameless if 'alt=""' not in each]
        assert not laid_out.evaluate(FAINT_TEXT)


FAINT_TEXT = """() => {
    const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const rgba = (color) => {
        context.clearRect(0, 0, 1, 1);
        context.fillStyle = color;
        context.fillRect(0, 0, 1, 1);
        return [...context.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
        .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (e) => {
        for (; e; e = e.parentElement) {
            const color = rgba(getComputedStyle(e).backgroundColor);
            if (color[3] > 200) return color;
        }
        return [255, 255, 255];
    };
    return [...document.querySelectorAll('body *')]
        .filter((e) => e.offsetParent && !e.closest('[aria-hidden=true], .overflow-menu')
            && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))
        .map((e) => {
            const [a, b] = [light(rgba(getComputedStyle(e).color)), light(behind(e))];
            return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.outerHTML.slice(0, 120)];
        })
        .filter(([contrast]) => contrast < 4.5);
}"""
