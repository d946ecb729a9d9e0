"""``mecopt audit``: audit mechanisms on markets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mecopt.cli import audit_tables, shell
from mecopt.cli.audit_rules import Choice
from mecopt.cli.outputs import Outputs

if TYPE_CHECKING:
    from mechanisms.audit.batch import Source


def audit(
    market: Annotated[
        list[Path] | None,
        typer.Option(
            help="CSV with side (buyer or seller), value, optional units (or quantity), id, "
            "compatible, link_cost, round; rows of one id are steps of one trader. Or JSON. May be "
            "given several times."
        ),
    ] = None,
    mechanism: Annotated[
        str,
        typer.Option(
            help="A name, several separated by commas, or all; package.module:function is a rule "
            "of your own."
        ),
    ] = "all",
    generate: Annotated[
        str | None,
        typer.Option(help="Random markets in place of files; with --seeds.", metavar="KIND:n=100"),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Seeds A, A+1, ..., B-1 of --generate.", metavar="A:B")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write the report here (- for the standard output).")
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            help="Append each finished row to this file (JSON Lines); rows that are there already "
            "are not computed again."
        ),
    ] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder for pictures.")] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="FILE.html: a page about this audit; or a run folder whose report gets a section."
        ),
    ] = None,
    ticks: Annotated[int, typer.Option(help="Ticks of the clock auctions.")] = 100,
    price_range: Annotated[
        tuple[float, float] | None,
        typer.Option(
            help="Lowest and highest price anybody may report, in money of the file. Without one "
            "it follows the reports, which makes it a part of the rules that use it.",
            metavar="LOW HIGH",
        ),
    ] = None,
    unit: Annotated[
        float,
        typer.Option(
            help="Unit of account, in money of the file: amounts count in it, the finest is a "
            "millionth. For prices per token say 1e-6."
        ),
    ] = 1.0,
    lot: Annotated[
        float,
        typer.Option(help="How much of the good a unit is: quantities are multiples of it."),
    ] = 1.0,
    reserve: Annotated[
        float | None,
        typer.Option(
            help="Nothing is sold below this price (rules for several units), in units of account."
        ),
    ] = None,
    sample: Annotated[
        int,
        typer.Option(
            help="Traders drawn at random whose incentives are examined, besides the five nearest "
            "the margin on each side (0: nobody at all)."
        ),
    ] = 30,
    false_names: Annotated[
        int,
        typer.Option(help="How many of those drawn also try an extra report (0: nobody at all)."),
    ] = 10,
    seed: Annotated[int, typer.Option(help="Of lotteries and of the sample.")] = 0,
    jobs: Annotated[int, typer.Option(help="Processes.")] = 1,
    replay: Annotated[
        Path | None,
        typer.Option(help="Compute the findings of an audit's JSON file again.", metavar="FILE"),
    ] = None,
) -> None:
    """Audit mechanisms on markets: welfare, rationality, budget, incentives, time.

    Reports in the file are taken as true values and costs.

    Example:

        mecopt audit --market market.csv --mechanism all --json audit.json
    """
    if replay is not None:
        _replay(replay, mechanism, json)
        return
    from mechanisms.audit import batch
    from mechanisms.audit.report import AuditReport, Settings
    from mecopt import checks

    checks.whole("jobs", jobs, 1)
    page = report if report is not None and report.suffix.lower() in (".html", ".htm") else None
    folder = report if page is None else None
    if folder is not None:
        from mecopt.bench.run_folder import RunFolder

        RunFolder(folder).read()  # refuse an unfinished run before the work
    many = market is not None and len(market) > 1
    read = {f"market {n}" if many else "market": p for n, p in enumerate(market or (), 1)}
    outputs = Outputs(
        {"json": json, "rows": rows, "report": page},
        {"pictures": pictures, "report": folder},
        reads=read,
    )
    settings = Settings(sample > 0, sample, false_names, seed)
    sources = _sources(market, generate, seeds, price_range, unit, lot)
    single = sources[0].load() if len(sources) == 1 else None
    for name, asked in (("pictures", pictures), ("report", report)):
        if asked is not None and single is None:
            raise ValueError(f"{name}: is about one market, there are {len(sources)}")
    choice = Choice(ticks, seed, reserve)
    named = None if mechanism == "all" else choice.named(mechanism)
    left_out: dict[str, str] = {}
    if named is None and reserve is not None:
        named, left_out = choice.with_reserve([source.load() for source in sources])
    elif named is None and single is not None:
        from mechanisms import rules

        left_out = rules.fitting(single)[1]
    with shell.progress("rows") as show:
        items = batch.run(
            sources,
            named,
            settings,
            options=choice.options,
            jobs=jobs,
            rows=rows,
            on_row=lambda done, total: show("auditing", done, total),
        )
    with outputs:
        if single is not None:
            audited = AuditReport(single, tuple(item.row for item in items), left_out)
            _write_one(outputs, audited)
        else:
            body = batch.to_document(sources, settings, items)
            outputs.write_document(batch.FORMAT, body)
            typer.echo(audit_tables.summary(batch.summary(items), len(sources)))
        failures = [item for item in items if item.row.error]
        for item in failures[:5]:
            shell.say_error(f"{item.row.mechanism} on {item.market}: {item.row.error}")
    if failures:
        raise typer.Exit(shell.USER_ERROR)


def _write_one(outputs: Outputs, audited: Any) -> None:
    """Everything about the audit of one market."""
    from mechanisms.audit.report import FORMAT

    outputs.write_document(FORMAT, audited.to_document())
    outputs.write("pictures", lambda folder: _draw(folder, audited))
    typer.echo(audit_tables.one(audited))

    def write(path: Path) -> None:
        if path.suffix.lower() in (".html", ".htm"):
            from mechanisms.audit import page
            from mecopt import files

            files.write_bytes(path, page.page(audited).encode())
            typer.echo(f"report: {path}")
        else:
            _into_report(path, audited)

    outputs.write("report", write)


def _sources(
    market: list[Path] | None,
    generate: str | None,
    seeds: str | None,
    price_range: tuple[float, float] | None,
    unit: float,
    lot: float,
) -> tuple[Source, ...]:
    """The markets asked for, each with a name of its own."""
    from mechanisms.audit import batch
    from mecopt import checks
    from mecopt.bench.reading import parse_range
    from mecopt.market.sources import read_markets

    if generate is not None:
        if market:
            raise ValueError("generate, market: give one of them, not both")
        if seeds is None:
            raise ValueError(f"generate = {generate!r}: needs --seeds A:B")
        if price_range is not None or unit != 1 or lot != 1:
            raise ValueError(
                "generate: random markets have a price range, lots and a unit of their own"
            )
        return batch.generated(generate, range(*parse_range(seeds)))
    if not market:
        raise ValueError("market: give --market FILE, or --generate KIND:n=100 with --seeds A:B")
    if seeds is not None:
        raise ValueError("seeds: belong to --generate")
    found: list[Source] = []
    for path in market:
        made = read_markets(path, price_range=price_range, unit=unit, lot=lot)
        for label, one in made.items():
            name = f"{path} {label}" if label else str(path)
            origin: dict[str, Any] = {"market": str(path), "round": label, "unit": unit}
            if path.suffix.lower() == ".json" or path.name.endswith(".json.gz"):
                del origin["unit"]
            elif lot != 1:
                origin["lot"] = lot
            if price_range is not None:
                origin["price_range"] = list(price_range)
            found.append(batch.Source(name, one, origin=origin))
    names = [source.name for source in found]
    checks.no_duplicates("market", names)
    return tuple(found)


def _replay(path: Path, mechanism: str, json: Path | None) -> None:
    """``--replay``: exit status 1 when a finding does not come out again."""
    from mechanisms.audit import replay
    from mechanisms.audit.asking import found

    outputs = Outputs({"json": json}, reads={"replay": path})
    rule = found(mechanism) if ":" in mechanism else None
    again = replay.replay_file(path, rule)
    with outputs:
        outputs.write_json([replay.as_document(one) for one in again])
        typer.echo(audit_tables.replayed(again))
    if any(one.same.startswith("no:") or one.same == "no" for one in again):
        raise typer.Exit(shell.REJECTED)


def _into_report(folder: Path, audited: Any) -> None:
    """Add the audit to the page of a finished run."""
    from mechanisms.audit.section import section
    from mecopt import files
    from mecopt.bench import pages
    from mecopt.bench.run_folder import RunFolder

    run = RunFolder(folder)
    files.write_bytes(run.path / pages.AUDIT, section(audited).encode())
    typer.echo(f"report: {pages.build(run)}")


def _draw(folder: Path, report: Any) -> None:
    from mechanisms.audit import pictures as audit_pictures
    from mecopt import files
    from mecopt.bench import plot

    for name, figure in audit_pictures.figures(report).items():
        files.write_bytes(folder / f"{name}.png", plot.png(figure))
