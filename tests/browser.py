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
MATCH, VERIFY, TEACH = TABS = range(3)


def find_chromium() -> str | None:
    """A Chromium of the system; None if there is none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def visit(browser: Browser, url: str, **options) -> Iterator[Page]:
    """A page of a new visitor; afterwards it has asked nobody else for anything, and no error is in its console."""
    context = browser.new_context(**{"viewport": DESKTOP, **options})
    page, wrong = context.new_page(), []
    page.on("request", lambda request: is_foreign(request.url, url) and wrong.append(request.url))
    page.on("response", lambda response: response.status >= 400 and wrong.append(f"{response.status} {response.url}"))
    page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(url)
    expect(page.locator("#match-pad canvas")).to_be_visible(timeout=WAIT)
    yield page
    context.close()
    assert not wrong


def is_foreign(address: str, url: str) -> bool:
    return not address.startswith((url, "data:", "blob:", url.replace("http", "ws", 1)))


def open_tab(page: Page, tab: int) -> None:
    page.get_by_role("tab").nth(tab).click()


def sentence(page: Page, panel: str) -> Locator:
    return page.locator(f"#{panel} [role=status]")


def expect_winner(page: Page, name: object, panel: str = "match-panel") -> None:
    """The sentence names the winner, and its card is the one that is marked."""
    expect(page.locator(f"#{panel} .winner strong")).to_have_attribute("title", str(name), timeout=WAIT)
    expect(sentence(page, panel)).to_contain_text(str(name), timeout=WAIT)


def expect_blank(page: Page, panel: str = "match-panel") -> None:
    """The panel shows no drawing, and no winner."""
    expect(page.locator(f"#{panel} .seen img, #{panel} .winner")).to_have_count(0, timeout=WAIT)


def draw_on(page: Page, pad: str, strokes: list[Stroke]) -> None:
    """Draws with the mouse; the strokes are in the canvas's 280 × 280 pixels."""
    for points in to_screen(page, pad, strokes):
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=2)
        page.mouse.up()


def touch_on(page: Page, pad: str, strokes: list[Stroke]) -> None:
    """Draws with a finger."""
    page.locator(f"#{pad} canvas").scroll_into_view_if_needed()
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
    box = page.locator(f"#{pad} canvas").bounding_box()
    scale = box["width"] / 280
    return [[(box["x"] + scale * x, box["y"] + scale * y) for x, y in stroke] for stroke in strokes]


def clear(page: Page, pad: str) -> None:
    page.locator(f"#{pad}").get_by_role("button", name="Clear").click()
