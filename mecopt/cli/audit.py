"""``mecopt audit``: audit mechanisms on a market file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

from mecopt.cli.outputs import Outputs


def audit(
    market: Annotated[
        Path,
        typer.Option(
            help="CSV with side (buyer or seller), value, optional units, id, compatible; or JSON."
        ),
    ],
    mechanism: Annotated[
        str, typer.Option(help="A name, several separated by commas, or all.")
    ] = "all",
    json: Annotated[
        Path | None, typer.Option(help="Write the report here (- for the standard output).")
    ] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder for pictures.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Run folder whose report gets a section on this audit.")
    ] = None,
    ticks: Annotated[int, typer.Option(help="Ticks of the clock auctions.")] = 100,
    price_range: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Lowest and highest price anybody may report, in money of the file."),
    ] = None,
    unit: Annotated[
        float,
        typer.Option(
            help="Unit of account, in money of the file: amounts count in it, the finest is a "
            "millionth. For prices per token say 1e-6."
        ),
    ] = 1.0,
    sample: Annotated[int, typer.Option(help="Traders examined for incentives (0 for none).")] = 30,
    false_names: Annotated[int, typer.Option(help="Traders that also try an extra report.")] = 10,
    seed: Annotated[int, typer.Option(help="Of lotteries and of the sample.")] = 0,
) -> None:
    """Audit mechanisms on a market: welfare, rationality, budget, incentives, time.

    Reports in the file are taken as true values and costs.

    Example:

        mecopt audit --market market.csv --mechanism all --json audit.json
    """
    from mechanisms import rules
    from mechanisms.audit.report import FORMAT, AuditReport
    from mechanisms.audit.report import audit as run_audit
    from mecopt.market.sources import read_market

    if report is not None:
        from mecopt.bench.run_folder import RunFolder

        RunFolder(report).read()  # refuse an unfinished run before the work
    written, folders = {"json": json}, {"pictures": pictures, "report": report}
    outputs = Outputs(written, folders, reads={"market": market})
    traded = read_market(market, price_range=price_range, unit=unit)
    left_out: dict[str, str] = {}
    names = tuple(mechanism.split(","))
    if mechanism == "all":
        names, left_out = rules.fitting(traded)
    rows: list[Any] = []
    for name in track(names, "auditing", console=Console(stderr=True), transient=True):
        found = run_audit(
            traded,
            {name: rules.mechanism(name, **_options(name, ticks, seed))},
            incentives=sample > 0,
            sample=sample,
            false_names=false_names,
            seed=seed,
        )
        rows += found.rows
    audited = AuditReport.of(traded, rows, left_out)
    with outputs:
        outputs.write_document(FORMAT, audited.to_document())
        outputs.write("pictures", lambda folder: _draw(folder, traded, audited, ticks))
        typer.echo(_table(audited))
        outputs.write("report", lambda folder: _into_report(folder, audited))


def _options(name: str, ticks: int, seed: int) -> dict[str, Any]:
    if name.startswith("dda") or name == "server-clocks":
        return {"ticks": ticks}
    return {"seed": seed} if name in ("sbba", "muda", "posted") else {}


def _into_report(folder: Path, audited: Any) -> None:
    """Add the audit to the page of a finished run."""
    from mechanisms.audit.section import section
    from mecopt import files
    from mecopt.bench import pages
    from mecopt.bench.run_folder import RunFolder

    run = RunFolder(folder)
    files.write_bytes(run.path / pages.AUDIT, section(audited).encode())
    typer.echo(f"report: {pages.build(run)}")


def _draw(folder: Path, market: Any, report: Any, ticks: int) -> None:
    from mechanisms.audit import pictures as audit_pictures
    from mechanisms.double_dutch import rule as double_dutch
    from mecopt import files
    from mecopt.bench import plot

    if market.unit_demand and not market.is_graph:
        outcome = double_dutch.run(
            market, alternation="unit", pricing="clamped", ticks=ticks, log=True
        )
        clocks = plot.png(audit_pictures.supply_and_demand(market, outcome))
        files.write_bytes(folder / "clocks.png", clocks)
    mechanisms = plot.png(audit_pictures.welfare_and_regret(report))
    files.write_bytes(folder / "mechanisms.png", mechanisms)


def _table(report: Any) -> str:
    """One line per mechanism, as wide as it needs to be (pipes and narrow terminals included)."""
    columns = {
        "mechanism": "mechanism",
        "welfare_ratio": "W/W*",
        "trades": "trades",
        "budget": "budget",
        "ir_violations": "irrational",
        "buyer_regret_max": "buyer regret",
        "seller_regret_max": "seller regret",
        "false_name_gain_share": "false names",
        "rounds": "rounds",
    }
    lines = [list(columns.values())]
    lines += [[_cell(getattr(row, name)) for name in columns] for row in report.rows]
    width = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    text = [
        "  ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(row))
        for row in (zip(line, width, strict=True) for line in lines)
    ]
    if any(row.regret_exact is False for row in report.rows):
        text.append("(regrets in graph and multi-unit markets are lower bounds)")
    return "\n".join([report.market, "", *text, *report.remarks])


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
