"""A real browser on the page: drawing with the mouse or a finger, and what must never happen."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Locator, Page, expect
from strokes import Stroke

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
WAIT = 15_000  # milliseconds
TABS = ("match", "compare", "teach")


def find_chromium() -> str | None:
    """A Chromium of the system; None if there is none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def visit(browser: Browser, url: str, script: str = "", **options) -> Iterator[Page]:
    """A page of a new visitor, on which a script runs first; afterwards it has asked nobody else for anything, and no
    error is in its console."""
    context = browser.new_context(**{"viewport": DESKTOP, **options})
    page, wrong = context.new_page(), []
    page.on("request", lambda request: is_foreign(request.url, url) and wrong.append(request.url))
    page.on("response", lambda response: response.status >= 400 and wrong.append(f"{response.status} {response.url}"))
    page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.add_init_script(script)
    arrive(page, url)
    yield page
    context.close()
    assert not wrong


def arrive(page: Page, url: str) -> None:
    """Opens the page, and waits for its map."""
    page.goto(url)
    expect(page.locator("#pad canvas")).to_be_visible(timeout=WAIT)
    expect(page.locator(".map .tile").first).to_be_visible(timeout=2 * WAIT)


def is_foreign(address: str, url: str) -> bool:
    return not address.startswith((url, "data:", "blob:", url.replace("http", "ws", 1)))


def open_tab(page: Page, tab: str) -> None:
    page.locator(f"#tab-{tab}").click()


def sentence(page: Page) -> Locator:
    """What is said about the drawing, or on the tab of two, about these."""
    return page.locator(".sentence:visible")


def expect_winner(page: Page, name: object) -> None:
    """The sentence names the winner, and its row is the one that is marked."""
    expect(page.locator(".row.winner b")).to_have_text(str(name), timeout=WAIT)
    expect(sentence(page)).to_contain_text(str(name), timeout=WAIT)


def expect_blank(page: Page) -> None:
    """The page shows no drawing, and no winner."""
    expect(page.locator(".row.winner, .map .you:visible, .nearest button:enabled")).to_have_count(0, timeout=WAIT)


def draw_on(page: Page, pad: str, strokes: list[Stroke]) -> None:
    """Draws with the mouse; the strokes are in a square of 280 × 280."""
    for points in to_screen(page, pad, strokes):
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()


def touch_on(page: Page, pad: str, strokes: list[Stroke]) -> None:
    """Draws with a finger."""
    device = page.context.new_cdp_session(page)

    def send(kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": x, "y": y} for x, y in points]
        device.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    for points in to_screen(page, pad, strokes):
        send("touchStart", points[0])
        for point in points[1:]:
            send("touchMove", point)
        send("touchEnd")


def to_screen(page: Page, pad: str, strokes: list[Stroke]) -> list[Stroke]:
    canvas = page.locator(f"#{pad} canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    scale = box["width"] / 280
    return [[(box["x"] + scale * x, box["y"] + scale * y) for x, y in stroke] for stroke in strokes]


def press(page: Page, pad: str, name: str) -> None:
    page.locator(f"#{pad}").get_by_role("button", name=name).click()


def clear(page: Page, pad: str) -> None:
    button = page.locator(f"#{pad}").get_by_role("button", name="Clear")
    if button.is_enabled():
        button.click()


def ink_on(page: Page, pad: str) -> int:
    """How many of the canvas's pixels are dark."""
    return page.locator(f"#{pad} canvas").evaluate(
        """canvas => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {
            const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            let dark = 0;
            for (let i = 0; i < data.length; i += 4) dark += data[i] < 128;
            done(dark);
        })))"""
    )
