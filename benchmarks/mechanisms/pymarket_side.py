"""Runs inside an environment with pymarket 0.7.6: bids on stdin, MUDA's outcome on stdout."""

import json
import sys
import time

import numpy as np
import pymarket
from pymarket.mechanisms.muda_auction import muda


def main():
    request = json.load(sys.stdin)
    book = pymarket.BidManager()
    for user, price in enumerate(request["values"]):
        book.add_bid(1, price, user, True)
    for user, price in enumerate(request["costs"], start=len(request["values"])):
        book.add_bid(1, price, user, False)
    start = time.perf_counter()
    trades, extra = muda(book.get_df(), np.random.RandomState(request["seed"]))
    seconds = time.perf_counter() - start
    table = trades.get_df()
    bought = table.groupby("bid")["quantity"].sum() if len(table) else {}
    json.dump(
        {
            "seconds": seconds,
            "left": [int(i) for i in extra["left"]],
            "prices": [float(extra["price_left"]), float(extra["price_right"])],
            "units": {int(b): float(q) for b, q in dict(bought).items()},
            "fees": [float(f) for f in extra["fees"]],
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
