"""One reader of CSV: what counts as content, what separates cells, what is refused."""

import pytest

from mecopt.data import csv_text


def parsed(text: str) -> csv_text.CsvText:
    return csv_text.parse(text.encode(), "t.csv")


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,x\n2,y\n",
        "\ufeffa,b\n1,x\n2,y\n",  # a byte order mark
        "a,b\r\n1,x\r\n2,y\r\n",  # Windows
        "a,b\r1,x\r2,y",  # old Mac, no end of the last line
        "# made by hand\n\na,b\n1,x\n#--\n2,y\n\n\n",  # comments and empty lines
        " a , b\n1, x\n,,\n2,y\n,\n , \n",  # blanks, rows without content
        "a,b,\n1,x,\n2,y, \n",  # a column without content
        'a,b\n"1","x"\n2,"y"\n',
        "a;b\n1;x\n2;y\n",
        "a\tb\n1\tx\n2\ty\n",
        "sep=|\na|b\n1|x\n2|y\n",
    ],
)
def test_the_same_table_however_it_is_written(text):
    """Two rows (1, x) and (2, y) under a and b."""
    table = parsed(text)
    assert table.header == ("a", "b")
    assert table.rows == [["1", "x"], ["2", "y"]]


def test_text_is_text():
    """No word is a missing value, and # cuts nothing; cells in quotes may hold anything."""
    words = ["NA", "nan", "null", "None", "", "x#1", "007", "1e5", 'say "a, b"', "two\nlines", "#1"]
    body = "".join(f'"{w.replace(chr(34), 2 * chr(34))}",1\n' for w in words)
    assert parsed("name,n\n" + body).cells("name") == words


def test_rows_know_their_line():
    """Line 1 is a comment, 2 the header, 3 and 4 one row in quotes, 5 is empty, 6 the next row."""
    table = parsed('# c\na,b\n"two\nlines",1\n\nx,2\n')
    assert table.lines == [3, 6]
    assert table.at(1, "b") == "t.csv, line 6, column 'b'"


def test_decimal_commas_where_cells_are_not_separated_by_commas():
    """9,5 is 9.5 in a table with semicolons; units without a comma are as they are."""
    table = parsed("v;n\n9,5;3\n2;1\n")
    assert table.numbers(["v", "n"]) == {"v": ["9.5", "2"], "n": ["3", "1"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.csv: is empty"),
        ("# only a comment\n\n", "t.csv: is empty"),
        ("sep=;\n", "t.csv: is empty"),
        ("a,b\n1,2\n1\n", "line 3, column 'b': the row has 1 cells, the header 2"),
        ("a,b\n1,2,3\n", "line 2, column 'b': the row has 3 cells, the header 2; a decimal comma"),
        ("a,b,a\n1,2,3\n", "line 1: column 'a' is there twice"),
        ('a,b\n1,"2\n3,4\n', "line 2: not a readable row of CSV"),
        ('a,b\n1,"2"3\n', "line 2: not a readable row of CSV"),
        ("a,b\n1,2\0\n", "line 2: not a CSV text file .holds a zero byte"),
        ("id,b\n#1,2\n", "line 2: is a comment or a row"),
    ],
)
def test_what_cannot_be_read_for_certain_is_refused(text, message):
    """The line of the file is named, counted from 1 with the header and comments."""
    with pytest.raises(ValueError, match=message):
        parsed(text)


def test_other_encodings_are_named():
    """Latin 1 by its first foreign byte, UTF-16 by its mark."""
    with pytest.raises(ValueError, match=r"line 2: not a CSV text file in UTF-8 \(byte 0xe9\)"):
        csv_text.parse("id,b\ncaf\u00e9,1\n".encode("latin-1"), "t.csv")
    with pytest.raises(ValueError, match="UTF-16 text, save it as UTF-8"):
        csv_text.parse("a,b\n".encode("utf-16"), "t.csv")


def test_points_beside_decimal_commas_are_refused():
    """Is 1.234 one thousand or a little more than one? Nobody knows."""
    with pytest.raises(ValueError, match="line 3, column 'n': '1.234' has a point, but '9,5' in"):
        parsed("v;n\n9,5;3\n2;1.234\n").numbers(["v", "n"])
    with pytest.raises(ValueError, match="line 2, column 'v': '1.234,5' has digit groups"):
        parsed("v;n\n1.234,5;3\n").numbers(["v", "n"])
