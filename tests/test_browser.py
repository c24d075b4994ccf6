"""The page in a real browser, and nothing asked of any other host."""

import re
import time
from itertools import cycle

from browser import (
    WAIT,
    arrive,
    clear,
    draw_on,
    expect_blank,
    expect_winner,
    open_tab,
    sentence,
    to_screen,
    visit,
)
from playwright.sync_api import expect
from strokes import DIGITS, SYMBOLS, place

STAR = [[(30 + 2.2 * x, 30 + 2.2 * y) for x, y in SYMBOLS["star"][0]]]
PLACES = (180, 80, 50), (90, 12, 12), (230, 110, 40)  # In the middle; small, at the top left; large
SEVEN, TWO = place(7, 180, 80, 50), place(2, 180, 80, 50)


def test_each_digit_drawn_anywhere_is_that_digit(bench):
    for digit, where in zip(DIGITS, cycle(PLACES)):
        draw_on(bench, "pad", place(digit, *where))
        expect_winner(bench, digit)
        expect(bench.locator(".nearest button b")).to_have_text([str(digit)] * 5)  # At first of half a digit.
        clear(bench, "pad")
    expect_blank(bench)


def test_the_drawing_is_scored_while_it_is_drawn_by_one_call_at_a_time(bench):
    under_way, most, answered = 0, 0, []

    def begin(request):
        nonlocal under_way, most
        if "component_server" in request.url:
            under_way += 1
            most = max(most, under_way)

    def end(request):
        nonlocal under_way
        if "component_server" in request.url:
            under_way -= 1
            answered.append(time.monotonic())

    bench.on("request", begin)
    bench.on("requestfinished", end)
    points = to_screen(bench, "pad", SEVEN)[0]
    bench.mouse.move(*points[0])
    bench.mouse.down()
    for point in points[1:]:
        bench.mouse.move(*point, steps=30)
        bench.wait_for_timeout(300)
    drawn = time.monotonic()
    expect_winner(bench, 7)  # Before the pen is lifted.
    bench.mouse.up()
    bench.wait_for_timeout(500)
    bench.remove_listener("request", begin)
    bench.remove_listener("requestfinished", end)
    assert most == 1
    assert sum(at < drawn for at in answered) >= 3
    expect_winner(bench, 7)


def test_the_map_shows_where_a_drawing_lies_and_any_digit_large(bench):
    draw_on(bench, "pad", SEVEN)
    expect_winner(bench, 7)
    assert bench.locator(".map .near").count() == 5
    near = bench.evaluate(
        """() => {
            const at = (tile) => {
                const { left, right, top, bottom } = tile.getBoundingClientRect();
                return [left + right, top + bottom];
            };
            const [x, y] = at(document.querySelector('.map .you'));
            return [...document.querySelectorAll('.map .tile:not(.you)')]
                .map((tile) => [Math.hypot(at(tile)[0] - x, at(tile)[1] - y), tile.title])
                .sort(([a], [b]) => a - b).slice(0, 10).map(([, name]) => name);
        }"""
    )
    assert near.count("7") >= 8
    bench.locator(".map .tile[title='2']").first.click(force=True)
    shown = bench.locator("dialog")
    expect(shown).to_contain_text(re.compile(r"2.*similarity .*distance \d+\.\d", re.DOTALL))
    bench.keyboard.press("Escape")
    bench.get_by_role("button", name=re.compile("^7: similarity")).last.click()
    expect(shown.locator("figure")).to_have_count(20)
    bench.keyboard.press("Escape")
    expect(shown).to_be_hidden()


def test_other_references_are_other_images_and_the_drawing_is_scored_again(bench):
    draw_on(bench, "pad", SEVEN)
    expect_winner(bench, 7)
    sheet = "document.querySelector('.siamese').style.getPropertyValue('--sheet')"
    before, nearest = bench.evaluate(sheet), bench.locator(".nearest").inner_html()
    bench.locator(".renew").click()
    bench.wait_for_function(f"before => {sheet} !== before", arg=before, timeout=WAIT)
    expect_winner(bench, 7)
    assert bench.locator(".nearest").inner_html() != nearest


def test_who_does_not_draw_can_try_pictures_that_are_no_references(bench):
    tries = bench.locator(".tries button")
    for at in range(tries.count() - 1):
        tries.nth(at).click()
        expect(bench.locator(".row.winner")).to_have_count(1, timeout=WAIT)
        distance = float(bench.locator(".nearest button").first.locator("span").last.inner_text())
        assert distance > 0.5


def test_two_pictures_are_the_same_or_different(page):
    open_tab(page, "compare")
    draw_on(page, "left", SEVEN)
    expect(page.locator("#compare .tile.left")).to_have_css("background-image", re.compile("data:"), timeout=WAIT)
    draw_on(page, "right", place(7, 120, 30, 120))
    expect(sentence(page)).to_have_text(re.compile("the same$"), timeout=WAIT)
    marks = [page.locator("#compare .mark").evaluate("mark => parseFloat(mark.style.left)")]
    clear(page, "right")
    draw_on(page, "right", TWO)
    expect(sentence(page)).to_have_text(re.compile("different$"), timeout=WAIT)
    marks.append(page.locator("#compare .mark").evaluate("mark => parseFloat(mark.style.left)"))
    threshold = page.evaluate(
        "parseFloat(getComputedStyle(document.querySelector('.siamese')).getPropertyValue('--threshold'))"
    )
    assert marks[0] > threshold > marks[1]
    for kind, words in (("same", "both"), ("different", "and"), ("hard", r"\d")):
        before = page.locator("#compare .numbers").inner_text()
        page.locator(f"[data-pair={kind}]").click()
        expect(page.locator(".truth")).to_have_text(re.compile(words), timeout=WAIT)
        expect(page.locator("#compare .numbers")).not_to_have_text(before, timeout=WAIT)
        expect(sentence(page)).to_have_text(re.compile("the same$|different$"), timeout=WAIT)
    clear(page, "left")
    expect(page.locator(".truth")).to_have_text("")


def test_one_example_teaches_a_symbol_that_outlives_a_reload_and_can_be_removed(browser, site):
    name = "<i>${star}`{{x}}"
    with visit(browser, site) as page:
        open_tab(page, "teach")
        lesson, taught = page.locator(".lesson"), page.locator("ul.taught li")
        page.locator(".learn").click()
        expect(lesson).to_contain_text("Draw")
        draw_on(page, "pad", STAR)
        expect(page.locator(".map .you")).to_be_visible(timeout=WAIT)
        page.locator(".learn").click()
        expect(lesson).to_contain_text("name")
        for field, told in (("7", "known already"), (f"  {name} ", "Learned")):
            page.locator("#teach input[type=text]").fill(field)
            page.locator(".learn").click()
            expect(lesson).to_contain_text(told)
        expect(taught.locator("b")).to_have_text(name)
        expect(page.locator(".map .taught")).to_have_count(1, timeout=WAIT)
        arrive(page, site)
        draw_on(page, "pad", [[(0.6 * x + 30, 0.6 * y + 60) for x, y in STAR[0]]])
        expect_winner(page, name)
        for digit in (7, 0, 3):
            clear(page, "pad")
            draw_on(page, "pad", place(digit, 180, 80, 50))
            expect_winner(page, digit)
        open_tab(page, "teach")
        draw_on(page, "pad", [[(40, 200), (140, 60), (240, 200)]])
        page.locator("#teach input[type=text]").fill("roof")
        expect(page.locator(".map .you")).to_be_visible(timeout=WAIT)
        page.locator(".learn").click()
        expect(taught).to_have_count(2)
        page.get_by_role("button", name="Remove roof", exact=True).click()
        expect(taught).to_have_count(1)
        page.get_by_role("button", name="Remove example 1").click()
        expect(taught).to_have_count(0)
        expect(page.locator(".row")).to_have_count(10, timeout=WAIT)
    with visit(browser, site) as page:
        assert page.locator(".row").count() == 10  # Another visitor knows nothing of it.


def test_a_server_that_is_away_is_told_and_the_drawing_is_scored_when_it_is_back(browser, site):
    context = browser.new_context()
    page = context.new_page()
    arrive(page, site)
    page.route("**/component_server/**", lambda route: route.abort())
    draw_on(page, "pad", SEVEN)
    expect(sentence(page)).to_contain_text("does not answer", timeout=WAIT)
    page.unroute("**/component_server/**")
    expect_winner(page, 7)
    context.close()


def test_what_a_browser_kept_is_dropped_with_a_word_if_it_is_of_no_use(browser, site):
    with visit(browser, site) as page:
        for kept in ("5", "[null]", '{"a": 1}', '[{"name": "7", "examples": []}]', "no JSON"):
            page.evaluate("kept => localStorage.setItem('siamese-mnist symbols', kept)", kept)
            arrive(page, site)
            draw_on(page, "pad", SEVEN)
            expect_winner(page, 7)
            assert page.locator(".row").count() == 10, kept
