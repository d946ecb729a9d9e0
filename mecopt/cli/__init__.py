"""The command line: ``mecopt solve | verify | bench | report | data | audit | train | export |
serve``.

Heavy imports happen inside the commands, so that help is quick.
"""

from mecopt.cli.app import app as app
from mecopt.cli.app import main as main
