from .from_caching import from_caching as from_caching
from .instance import Market as Market
from .units import HALF_UNITS as HALF_UNITS
