"""Draw N-way k-shot episodes: for each its classes, and k support images of each beside query images of other pictures.

An episode is a small split of its own: within it no copy crosses. Two episodes may hold the same image, in other parts
too, as is the custom of the field (Vinyals et al., "Matching networks for one shot learning", NeurIPS 2016). For one
seed the episodes of all k have the same classes where these have enough pictures, nested supports, and the same query.

The pictures of a class are told by their places in the sorted list of names, so a draw costs one digest an image drawn.

Shapes: p pictures of a class, q of them drawn.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overlens.fewshot.certificate import Certifier
from overlens.fewshot.pictures import Pool, Shots
from overlens.fewshot.splits import Episode, EpisodeSet
from overlens.fewshot.strategies import choose_for_episode
from overlens.sampler import draw_places


@dataclass(frozen=True, slots=True)
class EpisodePlan:
    """What the episodes of one dataset hold, whatever their seed.

    Attributes:
        dataset: Name of the dataset.
        eligible: k -> class id -> number of pictures, of the classes that take part.
        wanted: k -> how many pictures each part takes.
        n_classes: Classes of each episode that are asked for.
        n_episodes: Number of episodes of each k.
    """

    dataset: str
    eligible: Mapping[int, Mapping[str, int]]
    wanted: Mapping[int, Shots]
    n_classes: int
    n_episodes: int


def draw_episodes(plan: EpisodePlan, pool: Pool, seed: int, certifier: Certifier) -> Iterator[EpisodeSet]:
    """Yield one set of episodes for each k that has an eligible class.

    Args:
        plan: What the episodes hold.
        pool: What may be drawn.
        seed: Seed of the draw.
        certifier: Certifies each set.
    """
    images = sorted((name, class_id) for class_id in pool.classes for name in pool.list_pictures(class_id))
    class_ids = tuple(sorted(pool.classes))
    code_of = {class_id: code for code, class_id in enumerate(class_ids)}
    draws = _Draws(pool, {name: place for place, (name, _) in enumerate(images)}, plan.wanted, seed)
    drawn: dict[int, list[Episode]] = {k: [] for k in plan.wanted if plan.eligible[k]}
    for number in range(plan.n_episodes):
        taken: dict[str, NDArray[np.int32]] = {}
        for k, episodes in drawn.items():
            chosen = sorted(choose_for_episode(plan.eligible[k], plan.n_classes, seed, number))
            for class_id in chosen:
                if class_id not in taken:
                    taken[class_id] = draws.draw(class_id, number)
            episodes.append(draws.divide({class_id: taken[class_id] for class_id in chosen}, plan.wanted[k]))
    rows = np.array([pool.classes[class_id][name] for name, class_id in images], np.int64)
    for k, episodes in drawn.items():
        yield EpisodeSet(
            dataset=plan.dataset,
            k_shot=k,
            n_classes=min(plan.n_classes, len(plan.eligible[k])),
            requested_n_classes=plan.n_classes,
            seed=seed,
            names=tuple(name for name, _ in images),
            class_ids=class_ids,
            codes=np.array([code_of[class_id] for _, class_id in images], np.int32),
            rows=rows,
            episodes=tuple(episodes),
            certificate=certifier.certify({part: rows[places] for part, places in one.parts()} for one in episodes),
        )


class _Draws:
    """Draws the pictures of classes for the episodes of one seed."""

    def __init__(self, pool: Pool, place_of: Mapping[str, int], wanted: Mapping[int, Shots], seed: int) -> None:
        self._seed, self._shots = seed, tuple(wanted.values())
        self._places = {
            class_id: np.array([place_of[name] for name in pool.list_pictures(class_id)], np.int32)
            for class_id in pool.classes
        }

    def draw(self, class_id: str, number: int) -> NDArray[np.int32]:
        """Return `(q,)` images of a class in the order of one episode, as many as the largest k needs."""
        places = self._places[class_id]
        n_drawn = max(sum(shots.divide(len(places))) for shots in self._shots)
        return places[draw_places(len(places), n_drawn, self._seed, "image of episode", class_id, str(number))]

    def divide(self, taken: Mapping[str, NDArray[np.int32]], shots: Shots) -> Episode:
        """Return an episode: of each class the query from the beginning of its draw, then validation, then support."""
        parts: tuple[list[NDArray[np.int32]], ...] = [], [], []
        for class_id, places in taken.items():
            n_support, n_validation, n_query = shots.divide(len(self._places[class_id]))
            support = n_query + n_validation
            parts[0].append(places[support : support + n_support])
            parts[1].append(places[n_query:support])
            parts[2].append(places[:n_query])
        return Episode(*(np.concatenate(part) for part in parts))
