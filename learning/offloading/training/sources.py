"""Which instances a training learns from: files of the user's own, or episodes of a scenario."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from learning import seeds
from learning.runs.settings import at_least
from mecopt.bench.families import Scenario, family_of_scenario, scenario_names
from mecopt.checks import known
from mecopt.offloading.instance import OffloadingInstance


@dataclass(frozen=True)
class SourceSettings:
    """Where instances come from, in place of COMLLM's presets.

    Parameters
    ----------
    instances : str, optional
        Files of instances, as a pattern with ``*``: ``"mine/*.json"``.
    scenario : str, optional
        A scenario of ``mecopt bench`` whose instances are of the offloading family.
    presets : tuple of str
        Of that scenario; its own default where they are COMLLM's.
    options : tuple of str
        Options of that scenario as ``"name=value"``.
    episodes : int
        Episodes per preset.
    """

    instances: str | None = None
    scenario: str | None = None
    presets: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    episodes: int = 1

    @property
    def any_instance(self) -> bool:
        """Whether instances are named, rather than COMLLM's presets."""
        return self.instances is not None or self.scenario is not None

    def check_source(self) -> None:
        """Refuse what cannot go together.

        Raises
        ------
        ValueError
        """
        if self.instances is not None and self.scenario is not None:
            raise ValueError("instances, scenario: choose one of the two")
        if self.options and self.scenario is None:
            raise ValueError(f"options = {self.options}: are those of a scenario, which is missing")
        if self.scenario is not None:
            scenario_named(self.scenario)
        at_least(self, episodes=1)


def scenario_named(name: str) -> Scenario:
    """A scenario of offloading instances.

    Raises
    ------
    ValueError
        If there is none of this name, or its instances are of another family.
    """
    known("scenario", name, scenario_names())
    family = family_of_scenario(name)
    if family is None or family.name != "offloading":
        other = family.name if family is not None else "no family"
        raise ValueError(f"scenario: {name!r} has instances of {other}, needs offloading")
    return family.scenario(name)


def read(settings: Any, seed: int, part: str = "train") -> list[OffloadingInstance]:
    """The instances that settings name.

    Episodes of a scenario have seeds of the given part (`learning.seeds`), drawn with `seed`.

    Raises
    ------
    ValueError
        A pattern that no file fits, files of something else, unknown presets or options.
    """
    if settings.instances is not None:
        return _from_files(settings.instances)
    scenario = scenario_named(settings.scenario)
    given = dict(_pair(text) for text in settings.options)
    readers = {f.name: f.metadata["read"] for f in fields(scenario.options)}
    for name in given:
        known("options", name, readers)
    options = scenario.make_options({name: readers[name](v) for name, v in given.items()})
    presets = settings.presets
    if scenario.name != "comllm" and presets == _default_presets(settings):
        presets = tuple(str(scenario.defaults["preset"]).split(","))
    scenario.check(presets, options)
    first, stop = seeds.PARTS[part]
    rng = np.random.default_rng([12, seed])
    span = min(stop - first, 10**6)
    return [
        _offloading(f"{scenario.name} {preset} {s}", scenario.generate(preset, s, options, None))
        for preset in presets
        for s in (first + rng.choice(span, settings.episodes, replace=False)).tolist()
    ]


def _default_presets(settings: Any) -> tuple[str, ...]:
    """COMLLM's, which stand in the settings of a trainer unless others are named."""
    presets: tuple[str, ...] = type(settings).__dataclass_fields__["presets"].default
    return presets


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise ValueError(f"options: {text!r} is not NAME=VALUE")
    return name.replace("-", "_"), value


def _from_files(pattern: str) -> list[OffloadingInstance]:
    paths = sorted(glob.glob(pattern, recursive=True))
    if not paths:
        raise ValueError(f"instances: no file fits {pattern!r}")
    return [OffloadingInstance.load(path) for path in paths]


def _offloading(where: str, instance: Any) -> OffloadingInstance:
    if not isinstance(instance, OffloadingInstance):
        raise ValueError(f"{where}: is a {type(instance).__name__}, no OffloadingInstance")
    return instance


def split(
    instances: Sequence[OffloadingInstance],
) -> tuple[list[OffloadingInstance], list[OffloadingInstance]]:
    """Instances to learn from, and those on which progress is measured: every fifth.

    Of fewer than five, all are both: progress then says how well they are learned, nothing more.

    Raises
    ------
    ValueError
        If there is none.
    """
    if not instances:
        raise ValueError("instances: there is none, and so nothing to learn from")
    listed = list(instances)
    if len(listed) < 5:
        return listed, listed
    return [x for i, x in enumerate(listed) if i % 5 != 4], listed[4::5]


def digests(instances: Sequence[OffloadingInstance] | None) -> list[str] | None:
    """What a training keeps of the instances that it is given, to know them again."""
    return None if instances is None else [x.content_hash[:16] for x in instances]
