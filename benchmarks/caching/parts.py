"""What the trainings of T2DRL and their page share: presets, training seeds, where parts lie."""

PRESETS = ("ten", "sticky")
SEEDS = range(3)
#: Folder of the parts below ``benchmarks/results``.
PARTS = "caching_learning"
