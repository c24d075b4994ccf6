"""The surface to draw on, in a real browser: ink, history, pictures, keys and fingers."""

import base64
import re

from browser import (
    PHONE,
    WAIT,
    clear,
    draw_on,
    expect_blank,
    expect_winner,
    ink_on,
    press,
    sentence,
    to_screen,
    touch_on,
    visit,
)
from conftest import as_png
from PIL import Image
from playwright.sync_api import expect
from strokes import draw, place

SEVEN, TWO = place(7, 180, 80, 50), place(2, 180, 80, 50)


def upload(page, pad, image, name="picture.png"):
    content = image if isinstance(image, bytes) else as_png(image)
    page.locator(f"#{pad} input").set_input_files({"name": name, "mimeType": "image/png", "buffer": content})


def hand_over(page, event, image):
    """Pastes an image, or drops it on the page beside the pad."""
    page.evaluate(
        """async ([event, data]) => {
            const blob = await (await fetch('data:image/png;base64,' + data)).blob();
            const carried = new DataTransfer();
            carried.items.add(new File([blob], 'a.png', { type: 'image/png' }));
            const options = { bubbles: true, cancelable: true };
            document.querySelector('h1').dispatchEvent(event === 'paste'
                ? new ClipboardEvent(event, { ...options, clipboardData: carried })
                : new DragEvent(event, { ...options, dataTransfer: carried }));
        }""",
        [event, base64.b64encode(as_png(image)).decode()],
    )


def test_the_keyboard_draws_as_well_and_leaving_lifts_the_pen(bench):
    bench.locator("#pad canvas").focus()
    for key, times in (("ArrowUp", 10), (" ", 1), ("ArrowDown", 20)):
        for _ in range(times):
            bench.keyboard.press(key)
    told = bench.locator("#pad .told")
    expect(told).to_have_text(re.compile("down.*50 %.*79 %"))
    bench.keyboard.press(" ")
    expect(told).to_have_text(re.compile("up"))
    expect_winner(bench, 1)
    bench.keyboard.press(" ")
    expect(bench.locator("#pad .cursor")).to_have_class(re.compile("down"))
    bench.locator(".renew").focus()
    expect(bench.locator("#pad .cursor")).not_to_have_class(re.compile("down"))


def test_one_history_takes_back_and_brings_again_strokes_pictures_and_clear(bench):
    draw_on(bench, "pad", SEVEN)
    expect_winner(bench, 7)
    ink = ink_on(bench, "pad")
    draw_on(bench, "pad", [[(20, 20), (260, 260)]])
    assert ink_on(bench, "pad") > ink
    press(bench, "pad", "Undo")
    expect_winner(bench, 7)
    assert ink_on(bench, "pad") == ink
    upload(bench, "pad", draw(TWO, 16))
    expect_winner(bench, 2)
    clear(bench, "pad")
    expect_blank(bench)
    for _ in range(2):
        bench.keyboard.press("Control+z")
    expect_winner(bench, 7)
    bench.keyboard.press("Control+Shift+z")
    expect_winner(bench, 2)
    bench.keyboard.press("Control+z")
    press(bench, "pad", "Redo")
    expect_winner(bench, 2)


def test_a_click_is_a_dot_of_ink_and_a_dot_alone_is_no_digit(bench):
    x, y = to_screen(bench, "pad", [[(140, 140)]])[0][0]
    bench.mouse.click(x, y)
    assert ink_on(bench, "pad") > 100
    expect(sentence(bench)).to_contain_text("dot", timeout=WAIT)
    expect_blank(bench)
    press(bench, "pad", "Undo")
    assert ink_on(bench, "pad") == 0


def test_odd_drawings_get_words(bench):
    draw_on(bench, "pad", place(1, 150, 30, 60) + place(7, 150, 150, 60))
    expect(sentence(bench)).to_contain_text("ore than one", timeout=WAIT)
    clear(bench, "pad")
    draw_on(bench, "pad", [[(136, 136), (148, 136), (138, 148), (150, 148)]])
    expect(sentence(bench)).to_contain_text("larger", timeout=WAIT)
    expect_blank(bench)


def test_pictures_come_by_upload_paste_and_drop_and_a_bad_file_leaves_the_drawing(bench):
    upload(bench, "pad", draw(place(4, 700, 200, 200), 60, size=1200, ink=40, paper=210))
    expect_winner(bench, 4)
    hand_over(bench, "paste", draw(TWO, 16))
    expect_winner(bench, 2)
    hand_over(bench, "drop", draw(SEVEN, 16))
    expect_winner(bench, 7)
    ink = ink_on(bench, "pad")
    upload(bench, "pad", b"%PDF-1.4 no picture", "a.pdf")
    expect(bench.locator("#pad .told")).to_contain_text("no picture", timeout=WAIT)
    assert ink_on(bench, "pad") == ink
    expect_winner(bench, 7)
    clear(bench, "pad")
    expect(bench.locator("#pad .told")).to_have_text("")


def test_white_ink_on_a_transparent_ground_is_seen(bench):
    mask = draw(place(3, 180, 80, 50), 16, ink=255, paper=0)
    picture = Image.merge("LA", (Image.new("L", mask.size, 255), mask))
    upload(bench, "pad", picture)
    expect_winner(bench, 3)
    side = bench.locator("#pad canvas").evaluate("canvas => canvas.width")
    assert 0.5 * side**2 < ink_on(bench, "pad") < 0.98 * side**2  # A dark ground, and light ink on it.


def test_a_finger_draws_as_well(browser, site):
    with visit(browser, site, viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=3) as page:
        canvas = page.locator("#pad canvas")
        assert canvas.evaluate("canvas => canvas.width") == round(3 * canvas.bounding_box()["width"])  # It is sharp.
        for digit in (3, 4):
            touch_on(page, "pad", place(digit, 180, 80, 50))
            expect_winner(page, digit)
            clear(page, "pad")
            expect_blank(page)
