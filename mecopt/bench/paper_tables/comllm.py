"""What the tables of COMLLM (arXiv 2604.07148) show, and how."""

from mecopt.bench.paper_tables.table import Quantity

#: Quantity -> how it is shown, those of the picture in order of preference.
QUANTITIES = {
    "pr_percent": Quantity("PR, %", 2, interval=True, pictured=True),
    "change_slots": Quantity("change of cost, slots", 4, pictured=True),
    "gap_percent": Quantity("gap to bound, %", 2, interval=True, pictured=True, log=True),
    "gap_change_percent": Quantity("change of gap, points", 2, pictured=True),
    "drop_percent": Quantity("lost, %", 2, pictured=True),
    "backlog_fairness": Quantity("backlog fairness", 3, pictured=True),
    "assignment_fairness": Quantity("tasks fairness", 3, pictured=True),
    "cost_slots": Quantity("cost, slots", 4),
    "agreement_percent": Quantity("as oracle, %", 1),
    "parsed_percent": Quantity("parsed, %", 1),
    "lbi_percent": Quantity("LBI, %", 2),
}
PROTOCOLS = {"states": "Independent states", "episodes": "Whole episodes, against proven bounds"}
