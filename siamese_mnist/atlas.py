"""A map: images laid out so that what is alike lies together, and a place on it for what comes later."""

import torch
from torch import Tensor

NEIGHBOURS = 10
DENSE, PUSHES = 0.7, 150
PERPLEXITY, FEWEST = 30, 8  # t-SNE needs more images than neighbours.


def lay_out(log_odds: Tensor) -> Tensor:
    """Places (N, 2) of images, of whose pairs these are the log-odds (N, N), by t-SNE (van der Maaten and Hinton 2008).

    The more alike, the nearer; the same every time."""
    from sklearn.manifold import TSNE  # The import takes seconds and 100 MB.

    distances = (log_odds.max() - (log_odds + log_odds.T) / 2).fill_diagonal_(0).cpu().numpy()
    if len(distances) < FEWEST:
        angles = torch.arange(len(distances)) * (2 * torch.pi / len(distances))
        return torch.stack([angles.cos(), angles.sin()], 1)
    perplexity = min(PERPLEXITY, len(distances) / 4)
    laid = TSNE(perplexity=perplexity, metric="precomputed", init="random", random_state=0).fit_transform(distances)
    return torch.from_numpy(laid)


def spread(places: Tensor) -> Tensor:
    """Places (N, 2) brought to [0, 1], and pushed apart until an image of side DENSE / √N hides hardly any other."""
    places, apart = _to_unit(places), DENSE / len(places) ** 0.5
    for _ in range(PUSHES):
        steps = places[:, None] - places[None]
        lengths = steps.norm(dim=2, keepdim=True).clamp(min=1e-6)
        places = places + ((apart - lengths).clamp(min=0) * steps / lengths).sum(1) / 4
    return _to_unit(places)


def _to_unit(places: Tensor) -> Tensor:
    low, high = places.amin(0), places.amax(0)
    return (places - low) / (high - low).clamp(min=1e-6)


def place(log_odds: Tensor, places: Tensor) -> Tensor:
    """Places (M, 2) for images of log-odds (M, N) with those at `places` (N, 2): the mean of the ten most alike, each
    weighted by its odds."""
    odds, nearest = log_odds.topk(min(NEIGHBOURS, len(places)), 1)
    return (odds.softmax(1)[..., None] * places[nearest]).sum(1)


def share_kept(log_odds: Tensor, places: Tensor) -> float:
    """How true a map is to what is placed on it: of an image's ten most alike, the share that are its ten nearest, too.

    Log-odds (N, N) of the images at `places` (N, 2), each of which is placed as if it were new."""
    others = log_odds.masked_fill(torch.eye(len(places), dtype=torch.bool), -torch.inf)
    count = min(NEIGHBOURS, len(places) - 1)
    alike = others.topk(count, 1).indices
    apart = torch.cdist(place(others, places), places).fill_diagonal_(torch.inf)
    near = apart.topk(count, 1, largest=False).indices
    return (alike[:, :, None] == near[:, None]).any(2).float().mean().item()
