"""Offloading tasks to edge servers: instances, replay, online rules (COMLLM, real traces).

Users release tasks; each is computed locally or on a server behind a FIFO queue. The kernel also
serves families whose options are small graphs of stages. Paper: Yang, Cheng, Zhang, *COMLLM*,
arXiv 2604.07148.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
