from . import audit as audit
from . import double_dutch as double_dutch
from .outcome import Outcome as Outcome
from .rules import NAMES as NAMES
from .rules import fits as fits
from .rules import mechanism as mechanism
from .rules import run as run
