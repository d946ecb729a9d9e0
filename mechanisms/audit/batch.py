"""Audits over many markets: fanned out, kept as they finish, summed up with intervals.

The market is the unit: shares and ratios are means over markets with 95 % bootstrap intervals.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from mechanisms import rules
from mechanisms.audit.asking import Asked, ask, found
from mechanisms.audit.report import Prepared, Settings, audit_one, prepare
from mechanisms.audit.row import MechanismAudit
from mecopt import files, strict_json
from mecopt.market import scenarios
from mecopt.market.instance import Market
from mecopt.market.sources import read_markets
from mecopt.statistics import bootstrap_interval

FORMAT = files.Format("mecopt.audit-batch", version=1)
#: Resamples behind every interval over markets.
RESAMPLES = 2000


@dataclass(frozen=True)
class Source:
    """A market by name: one that is there, or one that a generator makes.

    Parameters
    ----------
    name : str
    market : Market, optional
    kind, seed, options : str, int, mapping
        Arguments of `mecopt.market.scenarios.generate` where there is no market.
    origin : mapping
        From where it can be had again, for files (`market`, `round` or `generate`, `seed`).
    """

    name: str
    market: Market | None = None
    kind: str = ""
    seed: int = 0
    options: Mapping[str, int] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> Market:
        """The market."""
        if self.market is not None:
            return self.market
        return scenarios.generate(self.kind, self.seed, **self.options)


def generated(text: str, seeds: range) -> tuple[Source, ...]:
    """Sources of ``kind`` or ``kind:n=100,servers=5``, one per seed.

    Raises
    ------
    ValueError
        If the kind or an option is unknown, or there is no seed.
    """
    kind, _, rest = text.partition(":")
    options: dict[str, int] = {}
    for part in filter(None, rest.split(",")):
        name, _, value = part.partition("=")
        if name not in ("n", "servers") or not value.isdigit():
            raise ValueError(f"generate = {text!r}: {part!r} must be n=NUMBER or servers=NUMBER")
        options[name] = int(value)
    if len(seeds) == 0:
        raise ValueError(f"generate = {text!r}: there are no seeds")
    scenarios.generate(kind, seeds[0], **options)  # refuse what cannot be made before the work
    return tuple(
        Source(f"{text} seed {seed}", None, kind, seed, options, {"generate": text, "seed": seed})
        for seed in seeds
    )


@dataclass(frozen=True)
class Item:
    """One row of a batch: a mechanism on a market."""

    market: str
    market_hash: str
    row: MechanismAudit

    def to_document(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {"market": self.market, "market_hash": self.market_hash, **self.row.to_document()}

    @classmethod
    def from_document(cls, body: Mapping[str, Any], where: str) -> Item:
        """Inverse of `to_document`; a ValueError names what is malformed."""
        for name in ("market", "market_hash"):
            if not isinstance(body.get(name), str):
                raise ValueError(f"{where}: field {name!r} is missing")
        row = MechanismAudit.from_document(body, where)
        return cls(body["market"], body["market_hash"], row)


@dataclass(frozen=True)
class Named:
    """A rule by address, so that another process can make it."""

    name: str
    address: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def make(self) -> Asked:
        """The mechanism."""
        return ask(self.name, found(self.address, **self.options), self.address)


Choice = Callable[[Market], Sequence[Named]]


def run(
    sources: Sequence[Source],
    named: Sequence[Named] | None,
    settings: Settings,
    *,
    options: Callable[[str], Mapping[str, Any]] = lambda name: {},
    jobs: int = 1,
    rows: Path | None = None,
    on_row: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Item, ...]:
    """Audit every rule on every market.

    Parameters
    ----------
    sources : sequence of Source
    named : sequence of Named, optional
        Every rule that fits each market, unless said.
    settings : Settings
    options : callable
        Options of a rule by its name, where `named` is left out.
    jobs : int
        Processes.
    rows : path, optional
        JSON Lines: a row is appended as it is finished. Rows that are there already, of the same
        market, rule and settings, are kept and not computed again.
    on_row : callable
        Called with (rows finished, all rows).

    Raises
    ------
    ValueError
        If a market cannot be expressed by a rule, or the file of rows is something else.
    """
    work = [(s, _rules(s, named, options)) for s in sources]
    total = sum(len(chosen) for _, chosen in work)
    kept = _kept(rows) if rows is not None else {}
    done: dict[tuple[str, str], Item] = {}
    todo = []
    for source, chosen in work:
        missing = []
        for rule in chosen:
            key = _identity(source, rule, settings)
            if key in kept:
                done[source.name, rule.name] = kept[key]
            else:
                missing.append(rule)
        # One market at a time where there are enough of them, else one rule at a time.
        size = len(missing) if len(sources) >= 2 * jobs else 1
        todo += [(source, missing[i : i + size]) for i in range(0, len(missing), max(size, 1))]
    on_row(len(done), total)
    finished: Iterator[list[tuple[str, Item]]]
    if jobs == 1:
        finished = ([one] for part in todo for one in _each(*part, settings))
    else:
        pool = Parallel(n_jobs=jobs, return_as="generator_unordered", inner_max_num_threads=1)
        finished = pool(delayed(_all)(*part, settings) for part in todo)
    stream = open(rows, "a", encoding="utf-8") if rows is not None else None  # noqa: SIM115
    try:
        for part in finished:
            for key, item in part:
                done[item.market, item.row.mechanism] = item
                if stream is not None:
                    stream.write(_line(key, item))
                    stream.flush()
            on_row(len(done), total)
    finally:
        if stream is not None:
            stream.close()
    return tuple(done[s.name, rule.name] for s, chosen in work for rule in chosen)


def _rules(
    source: Source,
    named: Sequence[Named] | None,
    options: Callable[[str], Mapping[str, Any]],
) -> Sequence[Named]:
    if named is not None:
        return named
    return [Named(name, name, options(name)) for name in rules.fitting(source.load())[0]]


def _all(source: Source, named: Sequence[Named], settings: Settings) -> list[tuple[str, Item]]:
    return list(_each(source, named, settings))


def _each(source: Source, named: Sequence[Named], settings: Settings) -> Iterator[tuple[str, Item]]:
    for rule in named:
        market, ready = _ready(_plain(asdict(settings)), _made_from(source), _Held(source))
        row = audit_one(rule.make(), market, ready)
        item = Item(source.name, market.content_hash, row)
        yield _identity(source, rule, settings), item


class _Held:
    """A source that `lru_cache` takes for equal when its name is."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)


@lru_cache(maxsize=1)
def _ready(settings: str, made_from: str, held: _Held) -> tuple[Market, Prepared]:
    """The market and what its audits share, kept for the next rule on it."""
    market = held.source.load()
    return market, prepare(market, Settings(**json.loads(settings)))


def _plain(value: Any) -> str:
    return json.dumps(files.plain(value), sort_keys=True, default=str)


def _identity(source: Source, rule: Named, settings: Settings) -> str:
    """Digest of what a row is made from."""
    asked = [rule.name, rule.address, dict(rule.options), _code(rule.address)]
    what = [source.name, _made_from(source), asked, asdict(settings)]
    return hashlib.sha256(_plain(what).encode()).hexdigest()[:16]


def _code(address: str) -> list[str]:
    """What a rule is written in: the version of mecopt, or digests of a function's own files."""
    if ":" not in address:
        return [version("mecopt")]
    function = inspect.unwrap(found(address))
    modules = {address.partition(":")[0], str(getattr(function, "__module__", ""))}
    files_of = [getattr(sys.modules.get(name), "__file__", None) for name in sorted(modules)]
    return [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files_of if file]


def _made_from(source: Source) -> str:
    """What decides the market of a source."""
    if source.market is not None:
        return source.market.content_hash
    return _plain([source.kind, source.seed, dict(source.options)])


def _line(key: str, item: Item) -> str:
    body = {"schema": FORMAT.schema, "version": FORMAT.version, "identity": key}
    return json.dumps(files.plain({**body, **item.to_document()}), allow_nan=False) + "\n"


def _kept(path: Path) -> dict[str, Item]:
    """Rows of a file by identity; the last line may be cut short by an interruption."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    out = {}
    for n, line in enumerate(lines, 1):
        where = f"{path}, line {n}"
        try:
            body = strict_json.parse(line.encode())
        except ValueError:
            if n == len(lines):
                _cut(path, lines[:-1])
                break
            raise ValueError(f"{where}: is no row of an audit") from None
        if not isinstance(body, dict) or body.get("schema") != FORMAT.schema:
            raise ValueError(f"{where}: is no row of an audit")
        out[body["identity"]] = Item.from_document(body, where)
    return out


def _cut(path: Path, lines: Sequence[str]) -> None:
    files.write_bytes(path, "".join(f"{line}\n" for line in lines).encode())


def summary(items: Sequence[Item]) -> pd.DataFrame:
    """One row per mechanism over markets: means with 95 % intervals, worst cases, counts.

    Columns: markets, failed, welfare_ratio (mean over markets with W* > 0) with _low and _high,
    welfare_minimum, buyer_gain_share, seller_gain_share and false_name_share with _low and _high,
    buyer_regret_max, seller_regret_max, irrational (markets with a loss), budget (the worst),
    unequal, by_order (markets in which equals or the order of listing matter), contradictions.
    """
    names = dict.fromkeys(item.row.mechanism for item in items)
    return pd.DataFrame([_summed(n, [i.row for i in items if i.row.mechanism == n]) for n in names])


def _summed(name: str, rows: Sequence[MechanismAudit]) -> dict[str, Any]:
    good = [row for row in rows if not row.error]
    order = ("deficit", "weak", "strong")
    out: dict[str, Any] = {"mechanism": name, "markets": len(rows), "failed": len(rows) - len(good)}
    ratios = [row.welfare_ratio for row in good if row.welfare_ratio is not None]
    out |= _mean("welfare_ratio", ratios)
    out["welfare_minimum"] = min(ratios, default=None)
    for field_name, label in (
        ("buyer_gain_share", "buyer_gain_share"),
        ("seller_gain_share", "seller_gain_share"),
        ("false_name_gain_share", "false_name_share"),
    ):
        known = [getattr(row, field_name) for row in good]
        out |= _mean(label, [share for share in known if share is not None])
    for side in ("buyer", "seller"):
        regrets = [getattr(row, f"{side}_regret_max") for row in good]
        out[f"{side}_regret_max"] = max((r for r in regrets if r is not None), default=None)
    exact = [row.regret_exact for row in good if row.regret_exact is not None]
    out["regret_exact"] = all(exact) if exact else None
    out["irrational"] = sum(bool(row.ir_violations) for row in good)
    out["budget"] = min((row.budget for row in good), key=order.index, default="")
    out["unequal"] = sum(row.equal_treatment is False for row in good)
    out["by_order"] = sum(row.anonymous == "no" for row in good)
    out["contradictions"] = sum(bool(row.contradictions) for row in good)
    return out


def _mean(name: str, values: Sequence[float]) -> dict[str, float | None]:
    if not values:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    low, high = bootstrap_interval(values, resamples=RESAMPLES)
    return {name: float(np.mean(values)), f"{name}_low": low, f"{name}_high": high}


def to_document(
    sources: Sequence[Source], settings: Settings, items: Sequence[Item]
) -> dict[str, Any]:
    """A batch as JSON keeps it: where the markets are from, the summary, every row."""
    hashes = {item.market: item.market_hash for item in items}
    return {
        "settings": asdict(settings),
        "markets": [
            {"name": s.name, "source": dict(s.origin), "market_hash": hashes.get(s.name)}
            for s in sources
        ],
        "summary": files.plain(summary(items).to_dict("records")),
        "rows": [files.plain(item.to_document()) for item in items],
    }


def source_again(body: Mapping[str, Any], where: str) -> Source:
    """The source that an entry of ``markets`` names; a ValueError says what is missing."""
    origin = body.get("source")
    if not isinstance(origin, Mapping):
        raise ValueError(f"{where}: field 'source' is missing")
    if "generate" in origin:
        seed = strict_json.whole_number("seed", origin.get("seed"))
        return generated(str(origin["generate"]), range(seed, seed + 1))[0]
    if "market" not in origin:
        raise ValueError(f"{where}: names no file and no generator")
    asked = {k: origin[k] for k in ("price_range", "unit", "lot") if origin.get(k) is not None}
    made = read_markets(os.fspath(origin["market"]), **asked)
    label = origin.get("round", "")
    if label not in made:
        raise ValueError(f"{where}: {origin['market']} has no round {label!r}")
    return Source(str(body.get("name")), made[label], origin=origin)
