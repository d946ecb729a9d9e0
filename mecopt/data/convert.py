"""From the files of the source repositories to our columns: text in, CSV bytes out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from mecopt.data.stamps import parse_stamp

Rows = Iterable[Sequence[str]]


def _csv_bytes(header: Sequence[str], rows: Rows) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue().encode()


def convert_azure(text: str) -> bytes:
    """TIMESTAMP,ContextTokens,GeneratedTokens: stamps become s since the first, 7 decimals."""

    def rows() -> Iterator[tuple[str, str, str]]:
        first = None
        for row in csv.DictReader(io.StringIO(text)):
            tick = parse_stamp(row["TIMESTAMP"])[0] // 100
            first = tick if first is None else first
            seconds, rest = divmod(tick - first, 10**7)
            yield f"{seconds}.{rest:07d}", row["ContextTokens"], row["GeneratedTokens"]

    return _csv_bytes(("arrival_s", "context_tokens", "generated_tokens"), rows())


def convert_mooncake(text: str) -> bytes:
    """JSON lines with timestamp (ms), input_length, output_length, hash_ids: to CSV."""
    rows = (
        (
            str(request["timestamp"]),
            str(request["input_length"]),
            str(request["output_length"]),
            " ".join(map(str, request["hash_ids"])),
        )
        for request in map(json.loads, filter(None, text.splitlines()))
    )
    return _csv_bytes(("arrival_ms", "input_tokens", "output_tokens", "hash_ids"), rows)


def convert_eua_sites(text: str) -> bytes:
    """The columns that are not empty, as they are."""
    keep = ("SITE_ID", "LATITUDE", "LONGITUDE", "SITE_PRECISION", "NAME")
    rows = ([row[name] for name in keep] for row in csv.DictReader(io.StringIO(text)))
    return _csv_bytes(("site_id", "latitude_deg", "longitude_deg", "site_precision", "name"), rows)


def convert_eua_users(text: str) -> bytes:
    """Positions in degrees, 7 decimals."""
    rows = (
        (f"{float(row['Latitude']):.7f}", f"{float(row['Longitude']):.7f}")
        for row in csv.DictReader(io.StringIO(text))
    )
    return _csv_bytes(("latitude_deg", "longitude_deg"), rows)


CONVERSIONS: Mapping[str, Callable[[str], bytes]] = {
    "azure": convert_azure,
    "mooncake": convert_mooncake,
    "eua-sites": convert_eua_sites,
    "eua-users": convert_eua_users,
}
