"""Seeded generators of instances of every family: ``scenarios.comllm.generate("paper", 0)``."""

from mecopt.accuracy_delay import stream as goa_stream
from mecopt.accuracy_delay.scenarios import goa
from mecopt.caching.scenarios import t2drl as caching
from mecopt.collaboration.scenarios import ledrl
from mecopt.market import scenarios as markets
from mecopt.offloading.scenarios import comllm, traces
from mecopt.task_graphs.scenarios import wifi

__all__ = ["caching", "comllm", "goa", "goa_stream", "ledrl", "markets", "traces", "wifi"]
