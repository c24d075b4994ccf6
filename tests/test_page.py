"""The page without a browser: its API for programs, and what hostile callers get."""

import base64
import io
import struct
import zlib

import httpx
import numpy as np
import pytest
from conftest import as_png
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from strokes import DIGITS, draw, place

from siamese_mnist import prepare_drawing
from siamese_mnist.page.app import MOST_FILES
from siamese_mnist.page.pictures import PREFIX


@pytest.fixture(scope="module")
def client(site):
    return Client(site, verbose=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawings")
    for digit in DIGITS:
        draw(place(digit, 150, 90, 50), 14).save(folder / f"{digit}.png")
    return folder


def test_two_digits_on_an_image_are_refused(client, tmp_path):
    draw(place(1, 150, 30, 60) + place(7, 150, 150, 60), 14).save(tmp_path / "17.png")
    with pytest.raises(AppError, match="more than one"):
        client.predict(handle_file(tmp_path / "17.png"), api_name="/match")


def test_match_and_verify_answer_programs(client, files):
    for digit in (3, 7):
        answer = client.predict(handle_file(files / f"{digit}.png"), api_name="/match")
        assert answer["winner"] == str(digit)
        assert list(answer["scores"]) == list("0123456789")
        assert max(answer["scores"], key=answer["scores"].get) == str(digit)
        prepared = Image.open(io.BytesIO(base64.b64decode(answer["prepared"].removeprefix(PREFIX))))
        expected = prepare_drawing(Image.open(files / f"{digit}.png"))[0, 0]
        assert np.abs(np.asarray(prepared) / 255 - expected.numpy()).max() <= 0.5 / 255 + 1e-6
    for a, b, same in ((7, 7, 1), (7, 2, 0)):
        answer = client.predict(handle_file(files / f"{a}.png"), handle_file(files / f"{b}.png"), api_name="/verify")
        assert set(answer) == {"same", "similarity", "distance", "threshold"}
        assert answer["same"] == same == int(answer["similarity"] >= answer["threshold"])
        assert answer["distance"] >= 0
    assert set(client.view_api(return_format="dict")["named_endpoints"]) == {"/match", "/verify", "/match_many"}


def test_many_files_are_matched_in_order_and_a_broken_one_has_its_own_error(client, files, tmp_path):
    (tmp_path / "text.png").write_text("hello")
    paths = [files / "7.png", tmp_path / "text.png", files / "3.png"]
    first, broken, last = client.predict([handle_file(path) for path in paths], api_name="/match_many")
    assert (first["winner"], last["winner"]) == ("7", "3")
    assert first == client.predict(handle_file(paths[0]), api_name="/match")
    assert set(broken) == {"error"}
    for count in (0, MOST_FILES + 1):
        with pytest.raises(AppError, match=f"{count} files"):
            client.predict([handle_file(files / "7.png")] * count, api_name="/match_many")


def test_a_bare_path_is_not_opened_but_told_how_to_be_sent(client, files, capfd):
    path = str(files / "7.png")
    for call, arguments in (("/match", (path,)), ("/verify", (handle_file(path), path)), ("/match_many", ([path],))):
        with pytest.raises(AppError, match="handle_file"):
            client.predict(*arguments, api_name=call)
    assert capfd.readouterr().err == ""  # Nothing in the server's terminal.


def png_of_size(width, height):
    """The smallest PNG that says it is that large."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    row = zlib.compress(bytes((width + 7) // 8 + 1) * height)
    chunks = [head, b"IDAT" + row, b"IEND"]
    body = b"".join(struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


FILES = {
    "text": b"hello",
    "nothing.png": b"",
    "picture.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "truncated.png": as_png(draw(place(3, 180, 60, 40), 16))[:-300],
    "pixel.png": png_of_size(1, 1),
    "huge.png": png_of_size(20_000, 20_000),
    "blank.png": as_png(Image.new("L", (280, 280), 255)),
}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_gets_a_clear_message(client, files, tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name])
    with pytest.raises(AppError, match=r"no whole image|can be used|nothing is drawn") as caught:
        client.predict(handle_file(tmp_path / name), api_name="/match")
    assert "Traceback" not in str(caught.value)
    assert client.predict(handle_file(files / "7.png"), api_name="/match")["winner"] == "7"


@pytest.mark.parametrize("payload", [None, "", [], "text", {}, 7, {"path": "/etc/passwd"}, {"path": "../README.md"}])
def test_a_hostile_body_ends_in_an_error_and_the_server_goes_on(site, client, files, payload):
    if payload == {"path": "/etc/passwd"}:
        payload["meta"] = {"_type": "gradio.FileData"}
    answer = httpx.post(f"{site}gradio_api/call/match", json={"data": [payload]}, timeout=60)
    if answer.status_code == 200:
        events = httpx.get(f"{site}gradio_api/call/match/{answer.json()['event_id']}", timeout=60).text
        assert "event: error" in events
        assert "root:" not in events
    else:
        assert 400 <= answer.status_code < 500
    assert client.predict(handle_file(files / "7.png"), api_name="/match")["winner"] == "7"


def test_wrong_ids_and_paths_reach_nothing(site):
    body = {"data": [""], "fn_index": 999, "session_hash": "x"}
    assert httpx.post(f"{site}gradio_api/queue/join", json=body).status_code >= 400
    for path in ("/etc/passwd", "../../README.md", "%2e%2e%2f%2e%2e%2fREADME.md", "weights"):
        answer = httpx.get(f"{site}gradio_api/file={path}")
        assert answer.status_code in (403, 404), path
