"""Draw few-shot splits and episodes of one dataset: every strategy x k x seed, with no copy on two sides of a border.

The draw depends on names, classes, groups of copies and seed alone: not on listing order, hash seed, processor, library
or name of the dataset. A change of what is drawn changes published splits: raise RULE_VERSION.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from overlens.config import FewShotConfig
from overlens.counted import counted
from overlens.errors import ConfigError, DatasetError
from overlens.fewshot.certificate import Certifier
from overlens.fewshot.episodes import EpisodePlan, draw_episodes
from overlens.fewshot.pictures import KnownCopies, LabelledImages, Pool, Shots, find_pool
from overlens.fewshot.splits import PARTS, EpisodeSet, LeftOut, Part, SkippedSplit, Split, Splits
from overlens.fewshot.strategies import EPISODIC, STRATEGIES, require_known

RULE_VERSION = 1


def draw_splits(
    images: LabelledImages,
    *,
    config: FewShotConfig,
    copies: KnownCopies | None = None,
    why_unknown: str = "",
) -> Splits:
    """Draw one split for every strategy, k and seed of `config`.

    Args:
        images: The images of one dataset.
        config: What to draw.
        copies: What is known of copies; None where nothing was verified: then nothing is certified.
        why_unknown: Why copies are not known, or not all, in words: then crossings are not counted.

    Raises:
        ConfigError: A strategy is unknown, or a class is short and short classes are errors.
        DatasetError: No image has a class.
    """
    require_known(config.strategies)
    if all(label is None for label in images.labels):
        raise DatasetError(
            f"few-shot splits of {images.dataset!r} need classes, and none of its {len(images)} images has one; add "
            "labels.json or class folders, or give --use-ground-truth if there is a 2_ground_truth.json"
        )
    pool = find_pool(images, copies, allow_leaks=config.allow_leaks)
    drawer = _Drawer(images.dataset, pool, config, Certifier(config, copies, pool.left_out, why_unknown))
    notices = [*drawer.tell_short(), *drawer.tell_alike(), *_tell(pool.left_out)]
    drawn = drawer.certifier.certify_seeds(list(drawer.splits()))
    episodes = drawer.certifier.certify_seeds(list(drawer.episodes()))
    return Splits(images.dataset, tuple(drawn), tuple(episodes), tuple(drawer.skipped()), pool.left_out, tuple(notices))


def require_long_classes(dataset: str, labels: Sequence[str | None], config: FewShotConfig) -> None:
    """Raise ConfigError if a class has too few images for the splits, even if none of them were copies.

    Args:
        dataset: Name of the dataset.
        labels: Class id of each image or None.
        config: What to draw.
    """
    images = LabelledImages(dataset, list(map(str, range(len(labels)))), labels)
    pool = find_pool(images, None, allow_leaks=True)
    for _ in _Drawer(dataset, pool, config, Certifier(config, None, pool.left_out)).tell_short():
        pass


class _Drawer:
    """Draws the splits of one dataset; remembers the order of each class and seed, which all strategies share."""

    def __init__(self, dataset: str, pool: Pool, config: FewShotConfig, certifier: Certifier) -> None:
        self._dataset, self._pool, self._config = dataset, pool, config
        self.certifier = certifier
        deals = config.disjoint_seeds
        self._pools = {seed: pool.dealt(config.seeds, seed) if deals else pool for seed in config.seeds}
        self._orders: dict[tuple[str, int], list[str]] = {}
        self._eligible = {k: self._find_eligible(k) for k in config.k_shots}

    def splits(self) -> Iterator[Split]:
        """Yield the splits by strategy, k and seed."""
        for strategy in dict.fromkeys(self._config.strategies):
            if strategy != EPISODIC:
                for k in dict.fromkeys(self._config.k_shots):
                    yield from (self._draw(strategy, k, seed) for seed in self._config.seeds if self._eligible[k])

    def episodes(self) -> Iterator[EpisodeSet]:
        """Yield the sets of episodes by k and seed."""
        if EPISODIC not in self._config.strategies:
            return
        config = self._config
        wanted = {k: Shots.of(config, k, is_episode=True) for k in config.k_shots}
        plan = EpisodePlan(self._dataset, self._eligible, wanted, config.n_classes, config.n_episodes)
        sets = [one for seed in config.seeds for one in draw_episodes(plan, self._pools[seed], seed, self.certifier)]
        yield from sorted(sets, key=lambda one: (list(wanted).index(one.k_shot), one.seed))

    def skipped(self) -> Iterator[SkippedSplit]:
        """Yield the splits for which there is no class."""
        most = max(self._counts().values(), default=0)
        for strategy in dict.fromkeys(self._config.strategies):
            for k in dict.fromkeys(self._config.k_shots):
                if not self._eligible[k]:
                    for seed in self._config.seeds:
                        yield SkippedSplit(self._dataset, strategy, k, seed, self._why_none(k, most))

    def tell_short(self) -> Iterator[str]:
        """Say of each k which classes are short and what becomes of them; raises ConfigError where that is an error."""
        config, counts = self._config, self._counts()
        for k in dict.fromkeys(config.k_shots):
            shots = self._shots(k)
            short = sorted(class_id for class_id, n in counts.items() if n < shots.demand)
            if short and config.short_classes == "error":
                raise ConfigError(self._short_error(k, short))
            if short:
                classes = f"{len(short)} of {counted(len(counts), 'class', 'classes')}"
                n_left = sum(counts[class_id] < 2 for class_id in short)
                single = f", and none of {n_left} with a single picture" if n_left else ""
                fewer = f"fewer images of these are drawn{single}"
                what = "these take no part (--short-classes fewer takes what they have)"
                yield (
                    f"{k}-shot: {classes} have fewer than {self._unit(shots.demand)} ({shots}); "
                    f"{fewer if config.short_classes == 'fewer' else what}"
                )
            n_eligible = len(self._eligible[k])
            if 0 < n_eligible < config.n_classes:
                yield f"{k}-shot: {config.n_classes} classes were asked for; {n_eligible} can take part"

    def tell_alike(self) -> Iterator[str]:
        """Say where strategies choose among no more classes than are asked for, and so draw the same splits."""
        plain = [strategy for strategy in dict.fromkeys(self._config.strategies) if strategy != EPISODIC]
        alike = [k for k, classes in self._eligible.items() if 0 < len(classes) <= self._config.n_classes]
        if alike and len(plain) > 1:
            shots = ", ".join(f"{k}-shot" for k in dict.fromkeys(alike))
            yield f"{shots}: all classes that can take part are in every split, so {', '.join(plain)} are the same"

    def _draw(self, strategy: str, k: int, seed: int) -> Split:
        chosen = sorted(STRATEGIES[strategy](self._eligible[k], self._config.n_classes, seed))
        taken: dict[str, list[tuple[str, str]]] = {part: [] for part in PARTS}
        for class_id in chosen:
            for part, names in self._divide(class_id, k, seed).items():
                taken[part] += [(name, class_id) for name in names]
        parts = {part: self._make_part(pairs) for part, pairs in taken.items()}
        return Split(
            dataset=self._dataset,
            strategy=strategy,
            k_shot=k,
            n_classes=len(chosen),
            requested_n_classes=self._config.n_classes,
            seed=seed,
            parts=parts,
            certificate=self.certifier.certify([{part: images.rows for part, images in parts.items()}]),
        )

    def _divide(self, class_id: str, k: int, seed: int) -> dict[str, list[str]]:
        """Return the pictures of a class by part: the support first, query and validation last, the rest between."""
        names = self._order(class_id, seed)
        n_support, n_validation, n_query = self._shots(k).divide(len(names))
        query = len(names) - n_query
        validation = query - n_validation
        parts = names[:n_support], names[validation:query], names[query:], names[n_support:validation]
        return dict(zip(PARTS, parts, strict=True))

    def _order(self, class_id: str, seed: int) -> list[str]:
        if (class_id, seed) not in self._orders:
            self._orders[class_id, seed] = self._pools[seed].order_pictures(class_id, seed)
        return self._orders[class_id, seed]

    def _make_part(self, pairs: Sequence[tuple[str, str]]) -> Part:
        rows = np.array([self._pool.classes[class_id][name] for name, class_id in pairs], np.int64)
        return Part(tuple(name for name, _ in pairs), tuple(class_id for _, class_id in pairs), rows)

    def _shots(self, k: int) -> Shots:
        return Shots.of(self._config, k, is_episode=False)

    def _find_eligible(self, k: int) -> dict[str, int]:
        """Return the classes that take part in k-shot splits, with their numbers of pictures."""
        least = 2 if self._config.short_classes == "fewer" else max(2, self._shots(k).demand)
        return {class_id: n for class_id, n in self._counts().items() if n >= least}

    def _counts(self) -> Mapping[str, int]:
        """Pictures that every seed has of each class."""
        if not self._config.disjoint_seeds:
            return self._pool.n_pictures
        return {class_id: n // self._config.n_seeds for class_id, n in self._pool.n_pictures.items()}

    def _unit(self, n: int) -> str:
        a_seed = " a seed" if self._config.disjoint_seeds else ""
        return f"{counted(n, 'picture')}{a_seed}"

    def _why_none(self, k: int, most: int) -> str:
        least = 2 if self._config.short_classes == "fewer" else self._shots(k).demand
        return f"no class has {self._unit(least)} or more; the most in one class: {most}"

    def _short_error(self, k: int, short: Sequence[str]) -> str:
        counts, shots = self._counts(), self._shots(k)
        first = ", ".join(f"{class_id!r} has {counts[class_id]}" for class_id in short[:3])
        return (
            f"{self._dataset}: {len(short)} of {counted(len(counts), 'class', 'classes')} have fewer than "
            f"{self._unit(shots.demand)} for {k}-shot splits ({shots}): {first}; ask for fewer images, or choose "
            "--short-classes skip or fewer"
        )


def _tell(left_out: LeftOut) -> Iterator[str]:
    if left_out.unlabelled:
        yield f"images without a class, in no split: {left_out.unlabelled}"
    if left_out.conflicting:
        yield f"images whose copies have another class, in no split: {left_out.conflicting}"
    if left_out.held_out:
        yield f"images with a copy in a dataset held out, in no split: {left_out.held_out}"
    if left_out.copies:
        yield f"further copies of a picture, of which a split holds one image: {left_out.copies}"
