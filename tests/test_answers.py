"""What the page's script is answered: to a visitor, and to whoever forges a question."""

import base64
import io
import json

import httpx
import numpy as np
import pytest
import torch
from conftest import as_png
from PIL import Image
from strokes import DIGITS, SYMBOLS, draw, place
from test_page import png_of_size

from siamese_mnist import SiameseNetwork, load_digits, prepare_drawing
from siamese_mnist.atlas import lay_out, share_kept, spread
from siamese_mnist.atlas import place as place_on_map
from siamese_mnist.matching import Match, Matcher
from siamese_mnist.page.answers import MOST_EXAMPLES, MOST_SYMBOLS, Answers
from siamese_mnist.page.pictures import LONGEST_URL, PREFIX, ink_url, read_example
from siamese_mnist.page.words import same_or_different, which_one


def data_url(image):
    return PREFIX + base64.b64encode(as_png(image)).decode()


def drawing(digit, height=180):
    return data_url(draw(place(digit, height, 60, 40), 16))


STAR = data_url(draw([[(30 + 2.2 * x, 30 + 2.2 * y) for x, y in SYMBOLS["star"][0]]], 16))


@pytest.fixture(scope="module")
def answers(page_app):
    page_app.answers.open({})  # The map is made by now.
    return page_app.answers


def test_each_digit_gets_its_log_odds_its_distances_and_its_place(answers, matcher):
    opened = answers.open({"seed": 0})
    names, columns, places = opened["names"], opened["columns"], np.array(opened["places"])
    assert (names, columns, len(places)) == (list("0123456789"), 20, 200)
    assert places.min() >= 0
    assert places.max() <= 1
    references = matcher.sample(torch.Generator().manual_seed(0))
    for digit in DIGITS:
        answer = answers.match({"drawing": drawing(digit), "seed": 0})
        assert answer["winner"] == str(digit)
        assert str(digit) in answer["sentence"]
        embedding = matcher.model.encode_all(prepare_drawing(draw(place(digit, 180, 60, 40), 16)))
        expected = matcher.model.logits(embedding, matcher.embeddings[references.flatten()])[0]
        np.testing.assert_allclose(np.ravel(answer["log_odds"]), expected.detach(), atol=2e-3)
        assert len(answer["distances"]) == 200
        near = np.linalg.norm(places - answer["place"], axis=1).argsort()[:10]
        assert (near // columns == digit).sum() >= 8


def test_other_seeds_are_other_references_and_pictures_to_try_are_none_of_them(answers, matcher):
    sheets = [answers.open({"seed": seed})["sheet"] for seed in (0, 1, 0)]
    assert sheets[0] == sheets[2] != sheets[1]
    for seed in (0, 1):
        opened = answers.open({"seed": seed})
        references = matcher.digits.images[matcher.sample(torch.Generator().manual_seed(seed)).flatten()]
        for url in opened["tries"]:
            image = (read_example(url)[0] * 255).round()
            assert not (references == image).flatten(1).all(1).any()


def test_a_symbol_taught_wins_and_changes_nothing_for_the_digits(answers):
    seen = answers.match({"drawing": STAR, "several": True})["seen"]
    symbols = [{"name": "star", "examples": [seen, seen]}]
    assert len(answers.open({"symbols": symbols})["places"]) == 202
    again = data_url(draw([[(60 + 1.5 * x, 80 + 1.5 * y) for x, y in SYMBOLS["star"][0]]], 12))
    answer = answers.match({"drawing": again, "symbols": symbols})
    assert answer["winner"] == "star"
    assert [*map(len, answer["log_odds"])] == [20] * 10 + [2]
    with_it, without = (answers.match({"drawing": drawing(4), "symbols": own}) for own in (symbols, []))
    assert with_it["log_odds"][:10] == without["log_odds"]


def test_two_digits_are_refused_unless_they_were_taught_as_a_symbol(answers):
    seventeen = data_url(draw(place(1, 150, 30, 60) + place(7, 150, 150, 60), 14))
    ask = answers.functions[1]
    assert "ore than one" in ask({"drawing": seventeen})["error"]
    assert "ore than one" in answers.functions[2]({"left": seventeen, "right": drawing(7)})["error"]
    seen = answers.match({"drawing": seventeen, "several": True})["seen"]
    taught = [{"name": "seventeen", "examples": [seen]}]
    assert answers.match({"drawing": seventeen, "symbols": taught})["winner"] == "seventeen"


def test_a_symbol_taught_under_two_names_is_a_tie(answers):
    seen = answers.match({"drawing": STAR, "several": True})["seen"]
    symbols = [{"name": name, "examples": [seen]} for name in ("star", "sun")]
    answer = answers.match({"drawing": STAR, "symbols": symbols})
    assert {*answer["tied"]} == {"star", "sun"}
    assert all(word in answer["sentence"] for word in ("tie", "star", "sun"))


def test_the_sentence_is_as_sure_as_the_scores():
    said = [
        which_one(Match({"4": first, "8": second}, winner))
        for first, second, winner in (
            (5.0, -5.0, "4"),
            (2.0, -2.0, "4"),
            (2.0, 1.0, "4"),
            (-2.0, -3.0, None),
            (-3.0, 6.0, "8"),
        )
    ]
    assert [each.split()[0] for each in said] == ["Surely", "Probably", "Perhaps", "Not", "Surely"]
    assert "an 8" in said[2]
    assert "an 8" in said[4]
    assert same_or_different(0.5, 0.4).endswith("the same")
    assert same_or_different(-9.0, 0.4) == "Surely different"


def test_two_drawings_are_compared_side_by_side(answers, matcher):
    alone = answers.compare({"left": drawing(7)})
    assert {*alone} == {"left"}
    whole = answers.compare({"left": drawing(7), "right": drawing(2)})
    turned = answers.compare({"left": drawing(2), "right": drawing(7)})
    assert whole["left"] == alone["left"]
    assert (whole["same"], whole["log_odds"]) == (False, pytest.approx(turned["log_odds"], abs=1e-5))
    assert np.linalg.norm(whole["left"]["embedding"]) == pytest.approx(1, abs=1e-2)
    assert answers.compare({"left": drawing(7), "right": drawing(7, 120)})["same"]


@pytest.mark.parametrize("kind", ["same", "different", "hard"])
def test_pairs_are_two_images_of_the_kind_asked_for(answers, matcher, kind):
    digits = matcher.digits
    for _ in range(10):
        answer = answers.pair({"kind": kind})
        pair = [(read_example(url) * 255).round() for url in answer["images"]]
        found = [(digits.images == image).flatten(1).all(1).nonzero().item() for image in pair]
        assert found[0] != found[1]
        assert answer["names"] == [str(int(digits.labels[image])) for image in found]
        same = digits.labels[found[0]] == digits.labels[found[1]]
        similarity = matcher.model.similarity(*(matcher.embeddings[[each]] for each in found)).item()
        if kind == "hard":
            assert similarity < 0.95 if same else similarity > 0.05
        else:
            assert same == (kind == "same")


def test_a_character_comes_by_other_writers(answers):
    first = answers.character({})
    others = [answers.character({"number": first["number"], "writer": first["writer"]}) for _ in range(30)]
    assert {each["name"] for each in others} == {first["name"]}
    assert first["image"] not in {each["image"] for each in others}


def test_an_image_comes_back_as_it_went(test_digits):
    for image in test_digits.images[:20]:
        assert torch.equal((read_example(ink_url(image))[0] * 255).round().byte(), image)


def test_the_map_is_truer_than_one_without_the_network(released, test_digits):
    images = test_digits.select(torch.arange(0, 500, 5))
    pixels = images.images.flatten(1).float() / 255
    embeddings = released.encode_all(images.images)
    log_odds = released.logits(embeddings, embeddings).detach()
    places = spread(lay_out(log_odds))
    assert places.min() == 0
    assert places.max() == 1
    assert torch.cdist(places, places).fill_diagonal_(1).min() > 0.3 / 100**0.5
    assert share_kept(log_odds, places) > 0.6 > share_kept(log_odds, spread(pixels[:, 300:302]))
    assert torch.equal(places, spread(lay_out(log_odds)))
    torch.testing.assert_close(place_on_map(torch.tensor([[9.0] + [-99.0] * 99]), places), places[:1])


def test_the_classes_are_those_of_the_weights(trained_run):
    model = SiameseNetwork.from_pretrained(trained_run / "best")
    answers = Answers(Matcher(model, load_digits("bundled", split="test", classes="3,7")))
    answer = answers.match({"drawing": drawing(7)})
    assert answers.open({})["names"] == ["3", "7"]
    assert answer["winner"] == "7"
    assert len(answer["log_odds"]) == 2


def ask(site, function, data):
    """What the page's component answers to a forged call: the status and the body."""
    component = next(each["id"] for each in httpx.get(f"{site}config").json()["components"] if each["type"] == "html")
    body = {"data": data, "component_id": component, "fn_name": function, "session_hash": "forged"}
    answer = httpx.post(f"{site}gradio_api/component_server", content=json.dumps(body), timeout=120)
    return answer.status_code, answer.json() if answer.status_code == 200 else {}


HOSTILE = {
    "list": [1, 2],
    "text": "seven",
    "SVG": "data:image/svg+xml;base64,PHN2Zy8+",
    "no base 64": PREFIX + "§§",
    "truncated": drawing(3)[:-400],
    "no image": PREFIX + base64.b64encode(b"hello").decode(),
    "one pixel": PREFIX + base64.b64encode(png_of_size(1, 1)).decode(),
    "2,000 × 2,000": PREFIX + base64.b64encode(png_of_size(2_000, 2_000)).decode(),
    "too long": PREFIX + "A" * LONGEST_URL,
    "nothing": None,
}
SYMBOL = {"name": "star", "examples": [ink_url(torch.zeros(1, 28, 28))]}
FORGED = {
    "seed": [{"seed": seed} for seed in (-1, 2**31, 1.5, "0", True, None, [])],
    "symbols": [
        {"symbols": symbols}
        for symbols in (
            "star",
            [3],
            [SYMBOL] * (MOST_SYMBOLS + 1),
            [SYMBOL, SYMBOL],
            [{**SYMBOL, "name": "7"}],
            [{**SYMBOL, "name": "x" * 21}],
            [{**SYMBOL, "name": 5}],
            [{**SYMBOL, "examples": []}],
            [{**SYMBOL, "examples": SYMBOL["examples"] * (MOST_EXAMPLES + 1)}],
            [{**SYMBOL, "examples": [drawing(3)]}],
            [{**SYMBOL, "examples": [None]}],
        )
    ],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_drawing_gets_a_clear_message(site, name):
    for function, question in (("match", {"drawing": HOSTILE[name]}), ("compare", {"left": HOSTILE[name] or 0})):
        status, answer = ask(site, function, question)
        assert status == 200
        assert any(words in answer["error"] for words in ("PNG data URL", "base 64", "o whole image", "can be used"))
    assert ask(site, "match", {"drawing": drawing(7)})[1]["winner"] == "7"


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_question_is_refused(site, name):
    for question in FORGED[name]:
        for function in ("open", "match"):
            status, answer = ask(site, function, {"drawing": drawing(7), **question})
            assert (status, {*answer}) == (200, {"error"}), question
    for question in (None, [], "x", 3):
        assert {*ask(site, "match", question)[1]} == {"error"}
    assert {*ask(site, "pair", {"kind": "easy"})[1]} == {*ask(site, "character", {"number": -1})[1]} == {"error"}
    assert ask(site, "survey", {})[0] == 404


def test_a_picture_is_small_and_black_on_a_transparent_ground(answers):
    seen = Image.open(io.BytesIO(base64.b64decode(answers.match({"drawing": drawing(7)})["seen"].removeprefix(PREFIX))))
    assert (seen.size, seen.mode) == ((28, 28), "LA")
    assert np.asarray(seen)[..., 0].max() == 0
    assert 0.05 < (np.asarray(seen)[..., 1] > 128).mean() < 0.4


def test_no_answer_asks_for_gradients_by_which_threads_can_wait_for_each_other_for_ever(
    page_app, monkeypatch, tmp_path
):
    asked, real = [], SiameseNetwork.raw_scores
    monkeypatch.setattr(
        SiameseNetwork, "raw_scores", lambda *those: (asked.append(torch.is_grad_enabled()), real(*those))[1]
    )
    star, seven = {"name": "star", "examples": []}, {"drawing": drawing(7)}
    functions = {function.__name__: function for function in page_app.answers.functions}
    star["examples"] = [functions["match"](seven)["seen"]]
    questions = {"open": {"symbols": [star]}, "match": seven | {"symbols": [star]}}
    questions |= {"compare": {"left": drawing(7), "right": drawing(2)}}
    for name, question in questions.items():
        before = len(asked)
        assert "error" not in functions[name](question)
        assert len(asked) > before, name
    (tmp_path / "7.png").write_bytes(as_png(draw(place(7, 180, 60, 40), 16)))
    page_app.match_file(str(tmp_path / "7.png"))
    page_app.verify_files(*[str(tmp_path / "7.png")] * 2)
    assert not any(asked)
