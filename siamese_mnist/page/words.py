"""What the page says in words."""

from siamese_mnist.listing import DIGIT_NAMES
from siamese_mnist.matching import Match

SURE, LIKELY = 3.0, 1.5  # Log-odds: 20 to 1, and 4 to 1.


def which_one(match: Match) -> str:
    """One sentence, such as "Surely a 7", "Probably a 4, or else a 9", "A tie: a 3 or a 5"."""
    first, *others = match.ranked
    if match.winner is None:
        kind = "digit" if {*match.log_odds} <= {*DIGIT_NAMES} else "symbol here"
        return f"Not like any {kind}; {_called(first)} is nearest"
    if match.tied:
        return f"A tie: {' or '.join(map(_called, match.tied))}"
    lead = match.log_odds[first] - match.log_odds[others[0]] if others else SURE
    if min(match.log_odds[first], lead) >= SURE:
        return f"Surely {_called(first)}"
    how = "Probably" if min(match.log_odds[first], lead) >= LIKELY else "Perhaps"
    return f"{how} {_called(first)}" + (f", or else {_called(others[0])}" if others else "")


def same_or_different(log_odds: float, threshold: float) -> str:
    """The verdict on two images in a word or two: "Surely the same", "Perhaps different"."""
    apart = abs(log_odds - threshold)
    how = "Surely" if apart >= SURE else "Probably" if apart >= LIKELY else "Perhaps"
    return f"{how} {'the same' if log_odds >= threshold else 'different'}"


def _called(name: str) -> str:
    if name in DIGIT_NAMES:
        return f"an {name}" if name == "8" else f"a {name}"
    return f"“{name}”"
