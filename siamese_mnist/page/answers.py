"""What the page's script asks of the server. Nothing of a visitor is kept here: his references are a seed, and the
symbols that he taught come along with each question."""

import functools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from siamese_mnist.atlas import DENSE, lay_out, place, share_kept, spread
from siamese_mnist.data import Digits, load_digits
from siamese_mnist.errors import InputError
from siamese_mnist.heads import pairwise_distance
from siamese_mnist.matching import Matcher, Symbol
from siamese_mnist.page.pictures import ink_url, read_drawing, read_example, sheet_url
from siamese_mnist.page.words import same_or_different, which_one

MOST_SYMBOLS, MOST_EXAMPLES, LONGEST_NAME = 8, 5, 20  # For each visitor.
SEEDS = 2**31
HARD, LOOKED_AT = 20, 5000  # So many pairs, no image in two of them, of the so many that mislead most, are hard ones.
LEAST = 3.0  # Log-odds that the scale reaches, either way.
BINS = 60  # Of the two heaps of log-odds that stand over the scale.
TRIES = 5
KEPT = 1024  # Embeddings of examples, and as many visitors' references.


class Survey(NamedTuple):
    """What is found out once about all pairs of the digits that references are drawn from."""

    log_odds: Tensor  # (N, N)
    places: Tensor  # (N, 2)
    hard: list[tuple[int, int]]
    scale: dict[str, Any]  # From the lowest log-odds to the highest, and how many pairs of either kind lie where.


class Answers:
    """Answers the page, with the images that references are drawn from; a method takes and returns JSON."""

    def __init__(self, matcher: Matcher) -> None:
        self.matcher, self.model = matcher, matcher.model
        self._embed = functools.lru_cache(KEPT)(self._encode_example)
        self._references = functools.lru_cache(KEPT)(self._draw_references)
        self._map = functools.lru_cache(KEPT)(self._lay_out_references)
        # A map takes seconds, in which one can draw already.
        self._survey: Future[Survey] = ThreadPoolExecutor(1).submit(survey, matcher)

    @property
    def functions(self) -> list[Callable[[Any], dict[str, Any]]]:
        """All that the script may ask, each of which takes anything, and refuses it by {"error": …}."""
        return [*map(_function, (self.open, self.match, self.compare, self.pair, self.character))]

    def open(self, question: dict[str, Any]) -> dict[str, Any]:
        """The references of a seed, on one sheet, a line each class; where they and the examples taught lie on the map;
        how large images are there, how true it is; the scale of scores; pictures to try, none of them a reference."""
        seed, symbols = _seed(question), self._symbols(question)
        references, (places, kept) = self._references(seed), self._map(seed)
        return {
            "names": self.matcher.names,
            "columns": references.shape[1],
            "sheet": sheet_url(self.matcher.digits.images[references]),
            "places": _rounded(self._with_examples(places, references, symbols), 4),
            "side": DENSE / references.numel() ** 0.5,
            "kept": kept,
            "scale": self._survey.result().scale,
            "tries": [ink_url(image) for image in self._tries(references, torch.Generator().manual_seed(seed))],
        }

    def _tries(self, references: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Images of some classes that are no references, then one character."""
        taken, images = {*references.flatten().tolist()}, []
        for label in torch.randperm(len(references), generator=generator).tolist():
            free = [image for image in self.matcher.members[label].tolist() if image not in taken]
            images += [self.matcher.digits.images[image] for image in free[:1]]
        characters = _characters().images
        return [*images[: TRIES - 1], characters[torch.randint(len(characters), (), generator=generator)]]

    def match(self, question: dict[str, Any]) -> dict[str, Any]:
        """A drawing's log-odds, a list for each class and symbol, and distances; the sentence; its place on the map.

        One of several digits is refused, unless `several` is true: a symbol may be made of parts."""
        seed, symbols = _seed(question), self._symbols(question)
        references = self._references(seed)
        parts = read_drawing(question.get("drawing"))
        embedding = self.model.encode_all(parts[:1])
        log_odds = self.matcher.log_odds(embedding, references, symbols)
        found = self.matcher.decide(log_odds, symbols)
        if found.winner not in symbols and not question.get("several"):
            self.matcher.refuse_several(parts[1:], references)
        others = [self.matcher.embeddings[references.flatten()], *(own.embeddings for own in symbols.values())]
        answer = {
            "seen": ink_url(parts[0]),
            "sentence": which_one(found),
            "winner": found.winner,
            "tied": found.tied,
            "log_odds": [_rounded(own, 3) for own in log_odds.values()],
            "distances": _rounded(pairwise_distance(embedding, torch.cat(others))[0], 2),
        }
        if self._survey.done():  # Until then there is no map.
            places = self._with_examples(self._map(seed)[0], references, symbols)
            answer["place"] = _rounded(place(torch.cat([*log_odds.values()])[None], places)[0], 4)
        return answer

    def _with_examples(self, places: Tensor, references: Tensor, symbols: dict[str, Symbol]) -> Tensor:
        """The places of references, then those of the symbols' examples, (N, 2) in [0, 1]."""
        known = self.matcher.embeddings[references.flatten()]
        own = [self.model.logits(symbol.embeddings, known) for symbol in symbols.values()]
        return torch.cat([places, *(place(log_odds, places) for log_odds in own)])

    def compare(self, question: dict[str, Any]) -> dict[str, Any]:
        """Either drawing, `left` and `right`, as the network sees it, and its embedding, brought to length 1; of both,
        their distance, log-odds and verdict."""
        answer, embeddings = {}, []
        for side in ("left", "right"):
            if question.get(side) is None:
                continue
            parts = read_drawing(question[side])
            self.matcher.refuse_several(parts[1:], self._references(0))
            embeddings.append(self.model.encode_all(parts[:1]))
            answer[side] = {"seen": ink_url(parts[0]), "embedding": _rounded(F.normalize(embeddings[-1])[0], 4)}
        if len(embeddings) == 2:
            log_odds, threshold = self.model.logits(*embeddings).item(), _log_odds(self.model.threshold)
            answer |= {"log_odds": log_odds, "distance": pairwise_distance(*embeddings).item()}
            answer |= {"same": log_odds >= threshold, "sentence": same_or_different(log_odds, threshold)}
        return answer

    def pair(self, question: dict[str, Any]) -> dict[str, Any]:
        """Two real images and their names: of the same class, of different ones, or hard to judge."""
        if (kind := question.get("kind")) not in ("same", "different", "hard"):
            raise InputError("a pair is same, different or hard")
        labels, chosen = self.matcher.digits.labels, self._survey.result().hard
        if kind != "hard":
            same = (labels[:, None] == labels[None]) == (kind == "same")
            chosen = torch.triu(same, 1).nonzero().tolist()
        if not chosen:
            raise InputError(f"there is no {kind} pair among these images")
        both = chosen[int(torch.randint(len(chosen), ()))]
        digits = self.matcher.digits
        names = [digits.class_names[digits.labels[image]] for image in both]
        return {"images": [ink_url(digits.images[image]) for image in both], "names": names}

    def character(self, question: dict[str, Any]) -> dict[str, Any]:
        """A character that no training saw, any or the one of that number, by a writer other than the one named."""
        characters, number, writer = _characters(), question.get("number"), question.get("writer")
        if number is None:
            number = int(torch.randint(len(characters.members), ()))
        if type(number) is not int or not 0 <= number < len(characters.members):
            raise InputError(f"characters have numbers from 0 to {len(characters.members) - 1}")
        writers = [each for each in range(len(characters.members[number])) if each != writer]
        writer = writers[int(torch.randint(len(writers), ()))]
        image, name = characters.images[characters.members[number][writer]], characters.names[number]
        return {"number": number, "writer": writer, "name": name.replace("/character", " "), "image": ink_url(image)}

    def _draw_references(self, seed: int) -> Tensor:
        return self.matcher.sample(torch.Generator().manual_seed(seed))

    def _lay_out_references(self, seed: int) -> tuple[Tensor, float]:
        """Where a seed's references lie on the map, (N, 2) in [0, 1], and how true that is to a drawing."""
        chosen, found = self._references(seed).flatten(), self._survey.result()
        places = spread(found.places[chosen])
        return places, share_kept(found.log_odds[chosen][:, chosen], places)

    def _symbols(self, question: dict[str, Any]) -> dict[str, Symbol]:
        """The symbols that come along: [{"name": …, "examples": [a data URL of 28 × 28, …]}, …]."""
        given = question.get("symbols", [])
        if not isinstance(given, list) or len(given) > MOST_SYMBOLS or not all(isinstance(own, dict) for own in given):
            raise InputError(f"symbols are a list of at most {MOST_SYMBOLS}")
        symbols = {}
        for own in given:
            name, examples = own.get("name"), own.get("examples")
            taken = [*self.matcher.names, *symbols]
            if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME or name in taken:
                raise InputError(f"a symbol has a name of its own, of 1 to {LONGEST_NAME} characters")
            if not isinstance(examples, list) or not 1 <= len(examples) <= MOST_EXAMPLES:
                raise InputError(f"a symbol has 1 to {MOST_EXAMPLES} examples")
            images, embeddings = zip(*map(self._embed, map(str, examples)))
            symbols[name] = Symbol(torch.cat(images), torch.cat(embeddings))
        return symbols

    def _encode_example(self, url: str) -> tuple[Tensor, Tensor]:
        image = read_example(url)
        return image, self.model.encode_all(image)


def _function(method: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    @functools.wraps(method)  # Gradio marks what may be called, which a method cannot be.
    @torch.no_grad()  # Threads that ask the same weights for gradients can wait for each other for ever.
    def function(question: Any = None) -> dict[str, Any]:
        try:
            if not isinstance(question, dict):
                raise InputError("a question is an object")
            return method(question)
        except InputError as error:
            text = str(error)
            return {"error": text[:1].upper() + text[1:]}

    return function


@functools.cache
def _characters() -> Digits:
    return load_digits("symbols", split="val")


@torch.no_grad()
def survey(matcher: Matcher) -> Survey:
    """Looks at all pairs of the matcher's images."""
    log_odds, labels = matcher.model.logits(matcher.embeddings, matcher.embeddings).cpu(), matcher.digits.labels
    upper, same = torch.triu(torch.ones_like(log_odds, dtype=torch.bool), 1), labels[:, None] == labels[None]
    left, right = min(np.quantile(log_odds[upper], 0.02).item(), -LEAST), max(log_odds[upper].max().item(), LEAST)
    heaps = {}
    for name, kind in (("same", same), ("different", ~same)):
        counts = log_odds[upper & kind].clamp(left, right).histc(BINS, left, right)
        heaps[name] = _rounded(counts / counts.max().clamp(min=1), 3)
    misleading = torch.where(same, -log_odds, log_odds).masked_fill(~upper, -torch.inf).flatten()
    hard, used = [], set()
    for at in misleading.topk(min(LOOKED_AT, int(upper.sum()))).indices.tolist():
        pair = divmod(at, len(labels))
        if used.isdisjoint(pair) and len(hard) < HARD:
            hard.append(pair)
            used.update(pair)
    scale = {"low": left, "high": right, "threshold": _log_odds(matcher.model.threshold), **heaps}
    return Survey(log_odds, lay_out(log_odds), hard, scale)


def _seed(question: dict[str, Any]) -> int:
    seed = question.get("seed", 0)
    if type(seed) is not int or not 0 <= seed < SEEDS:
        raise InputError(f"a seed is a whole number from 0 to {SEEDS - 1}")
    return seed


def _log_odds(similarity: float) -> float:
    return torch.tensor(similarity, dtype=torch.float64).logit(1e-9).item()


def _rounded(numbers: Tensor, digits: int) -> list:
    return numbers.double().round(decimals=digits).tolist()
