"""Markets of compute: bids, asks, compatibility, seats, link cost.

Mechanisms clear them (`mechanisms`), `formulations.market` says what trade is efficient.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
