from . import adaptive as adaptive
from . import bisection as bisection
from . import rule as rule
from .rule import ALTERNATIONS as ALTERNATIONS
from .rule import PRICINGS as PRICINGS
from .rule import run as run
