"""The audit: what a mechanism promises, held against what it does.

`audit` judges mechanisms on one market, `compare` and `step_ablation` over many; `theorems` says
what is known about each mechanism and checks it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
