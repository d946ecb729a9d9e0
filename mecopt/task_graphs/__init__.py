"""Task graphs over WiFi: a planner splits a task, a scheduler places the parts (arXiv 2604.21399).

A `TaskPlan` says what a task consists of, a `Network` where its parts can run; `options_of` turns
both into the options of an `OffloadingInstance`, one for every assignment of subtasks to nodes, so
that replay, bounds, certificates and rules are those of `mecopt.offloading`.
"""
