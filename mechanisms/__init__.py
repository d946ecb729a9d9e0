"""What a market does: auctions by name, and the audit that judges them.

`run("mcafee", market)` clears a market, `mechanisms.audit.audit(market)` asks what each rule keeps
of the welfare and whom it invites to lie.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
