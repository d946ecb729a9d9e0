"""Market tables: text is text, words of the field, who serves whom, zero units, odd names."""

import csv
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mecopt.market.instance import Market
from mecopt.market.sources import from_frame, read_market
from mecopt.market.units import HALF_UNITS


@pytest.fixture
def read(tmp_path):
    def reader(text: str, **options) -> Market:
        path = tmp_path / "m.csv"
        path.write_text(text)
        return read_market(path, **options)

    return reader


def money(prices):
    return (prices / HALF_UNITS).tolist()


def test_a_hash_in_a_name_cuts_nothing(read):
    """Three buyers EV#1 to EV#3 and three sellers, named as written."""
    rows = [f"buyer,{9 - i},EV#{i + 1}" for i in range(3)]
    rows += [f"seller,{2 + i},PV#{i + 1}" for i in range(3)]
    market = read("\n".join(["side,value,id", *rows]))
    assert market.buyer_names == ("EV#1", "EV#2", "EV#3")
    assert market.seller_names == ("PV#1", "PV#2", "PV#3") and market.unit_demand


def test_words_for_missing_values_are_names(read):
    """NA wants two units, DE has two."""
    market = read("side,value,id\nbuyer,9,NA\nbuyer,8,NA\nseller,2,DE\nseller,3,DE\n")
    assert market.buyer_names == ("NA",) and market.seller_names == ("DE",)
    assert money(market.values) == [9, 8] and money(market.costs) == [2, 3]


@pytest.mark.parametrize(
    "text",
    [
        "side;value\nbuyer;9,5\nseller;2,5\n",
        "Side\tPrice\tQuantity\nbuy\t9.5\t1\nSELL\t2.5\t1\n",
        "sep=;\ntype;cost;qty\nbid;9,5;1\nask;2,5;1\n",
    ],
)
def test_words_and_signs_of_the_field(read, text):
    """A buyer at 9.5 and a seller at 2.5."""
    market = read(text)
    assert (money(market.values), money(market.costs)) == ([9.5], [2.5])


def test_rows_of_no_units_are_no_units(read):
    """Buyer b keeps one unit, buyer c has none and is left out: a market of unit demand."""
    market = read(
        "side,value,units,id\nbuyer,9,1,a\nbuyer,8,0,b\nbuyer,7,1,b\nbuyer,6,0,c\nseller,2,1,s\n"
    )
    assert market.buyer_names == ("a", "b") and market.unit_demand
    assert money(market.values) == [9, 7]
    assert market.meta["notes"] == ["2 rows of 0 units are left out; without any unit: 'c' (buyer)"]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["", ""], None),
        (["*", ""], None),
        (["-", "*"], [[0, 0, 0], [1, 1, 1]]),
        (["s t; NA", ""], [[0, 1, 1], [1, 1, 1]]),
        (["a NA", "s t"], [[1, 0, 1], [0, 1, 0]]),
        (["a;a", "s t;"], [[1, 0, 0], [0, 1, 0]]),
    ],
)
def test_who_can_be_served_by_whom(read, cells, expected):
    """Sellers a, "s t" and NA: ids by semicolons or blanks, * for everybody, - for nobody."""
    rows = [f"buyer,{9 - i},u{i},{cell}" for i, cell in enumerate(cells)]
    rows += [f"seller,1,{name}," for name in ("a", "s t", "NA")]
    market = read("\n".join(["side,value,id,compatible", *rows]))
    found = None if market.compatible is None else market.compatible.astype(int).tolist()
    assert found == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("side,price,cost\nbuyer,1,1\n", "columns 'price' and 'cost' both mean value"),
        (
            "side,worth\nbuyer,1\n",
            "unknown column 'worth'; it has side, worth; accepted are side or type",
        ),
        ("x" * 10**5 + "\n", "unknown column 'x{40}...'; it has x{40}...; accepted"),
        (",side,value\n0,buyer,1\n", r"column 1 has no name \(an index\?\); it has"),
        ("side,value\nbuyer,0\nbuyer,nan\nseller,1\n", "line 3: value = 'nan' is not a number"),
        ("side,value\nbuyer,1e400\nseller,1\n", "line 2: value = '1e400' is not a finite"),
        ("side,value\nbuyer,1_0\nseller,1\n", "line 2: value = '1_0' is not a number"),
        (
            "side,value\nbuyer,1000001\nseller,1\n",
            "line 2: value = 1000001 is above 1e.06; unit=10",
        ),
        ("side,value\nbuyer,1\nseller,0.1234567\n", "line 3: value = 0.1234567 is not on the grid"),
        ("side,value,units\nbuyer,1,1e9\nseller,1,1\n", "line 2: units = '1e9' must be a whole"),
        ("side,value,units\nbuyer,1,0\nseller,1,1\n", "units: no buyer has a unit"),
        (
            "side,value,id\nbuyer,7,u\nbuyer,9,u\nseller,1,s\n",
            r"line 3: value = 9 rises within a buyer \('u' had 7\)",
        ),
        (
            "side,value,id\nbuyer,7,buyer 2\nbuyer,9,\nseller,1,s\n",
            "line 3: has no id, and another row has the id 'buyer 2'",
        ),
        (
            "side,value,id,compatible\nbuyer,1,u,None\nseller,1,s,\n",
            "unknown seller id 'None' .* means everybody, - nobody",
        ),
        (
            "side,value,id,compatible\nbuyer,1,u,-\nseller,1,-,\n",
            "line 2: compatible = '-' is a word, and a seller is called so",
        ),
        (
            "side,value,id,compatible\nbuyer,1,u,a b\nseller,1,a,\nseller,1,b,\nseller,1,a b,\n",
            "compatible = 'a b' is one seller, and several",
        ),
        (
            "side,value,id,compatible\nbuyer,2,u,a\nbuyer,1,u,*\nseller,1,a,\nseller,1,b,\n",
            "line 3: compatible = '.' another row of 'u' says something else".replace(
                "'.'", "'.',"
            ),
        ),
        ("side,value,id,compatible\nbuyer,1,u,;\nseller,1,a,\n", "unknown seller id ';'"),
        ("side,value,id,compatible\nbuyer,1,u,\nseller,1,a,*\n", "belongs on a buyer's row"),
    ],
)
def test_what_cannot_be_read_for_certain_is_refused(read, text, message):
    """One line with the place, the value and the way out."""
    with pytest.raises(ValueError, match=message):
        read(text)


def test_missing_cells_of_a_frame_are_empty_but_text_is_text():
    """A buyer without id, one called nan; nobody says who serves whom."""
    table = pd.DataFrame(
        {
            "side": ["buyer", "buyer", "seller"],
            "value": [9, 7, np.float64(0.1) + 0.2],
            "id": [None, "nan", pd.NA],
            "compatible": [float("nan"), None, pd.NA],
        }
    )
    market = from_frame(table)
    assert market.buyer_names == ("buyer 1", "nan") and market.seller_names == ("seller 3",)
    assert money(market.costs) == [0.3] and market.compatible is None


ODD = [
    "NA",
    "nan",
    "null",
    "None",
    "#1",
    "a,b",
    'say "hi"',
    "it's",
    "a b",
    "007",
    "7",
    "1e5",
    "True",
]
ODD += [
    "Zürich",
    "边缘",
    "x;y",
    "-0",
    "=1+1",
    "N/A",
    "*",
    "-",
    "\\",
]
#: Names with control characters are refused, as they are in every instance.
_PLAIN = st.characters(exclude_categories=("Cc", "Cs", "Cf", "Zl", "Zp"))
names = st.one_of(st.sampled_from(ODD), st.text(_PLAIN, min_size=1, max_size=6)).filter(
    # Blanks around a cell do not count.
    lambda name: name == name.strip()
)


@st.composite
def tables(draw):
    """Rows (side, value, units, id) with odd ids, falling values and rising costs."""
    rows = []
    for side, sign in (("buyer", -1), ("seller", 1)):
        for name in draw(st.lists(names, min_size=1, max_size=4, unique=True)):
            prices = draw(st.lists(st.integers(0, 10**7), min_size=1, max_size=3))
            for price in sorted(prices, key=lambda p: sign * p):
                rows.append((side, price / 10**6, draw(st.integers(1, 3)), name))
    return rows


@settings(max_examples=200, deadline=None)
@given(tables(), st.sampled_from([",", ";", "\t"]), st.sampled_from(["\n", "\r\n"]))
def test_odd_names_survive_csv_and_json(tmp_path_factory, rows, delimiter, end):
    """A table written by Python's csv, read, saved as JSON, read again: one market."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerows([("side", "value", "units", "id"), *rows])
    folder = tmp_path_factory.mktemp("market")
    (folder / "m.csv").write_bytes(text.getvalue().encode())
    market = read_market(folder / "m.csv")
    for side, found in (("buyer", market.buyer_names), ("seller", market.seller_names)):
        assert list(found) == list(dict.fromkeys(row[3] for row in rows if row[0] == side))
    expected = [row[1] for row in rows if row[0] == "buyer" for _ in range(row[2])]
    assert money(market.values) == expected
    market.save(folder / "m.json")
    again = read_market(folder / "m.json")
    assert again.content_hash == market.content_hash
    assert (again.buyer_names, again.seller_names) == (market.buyer_names, market.seller_names)
