"""Joint model caching and inference offloading: instances, replay, policies (T2DRL).

Edge servers keep models resident within their memory and serve requests within their energy; what
they do not serve goes to the cloud. Serving keeps a model's context warm (its age of thoughts), and
a warm context answers better. Paper: Xu, Niyato, Brinton, *Serving Long-Context LLMs at the Mobile
Edge*, arXiv 2501.14205.
"""

from mecopt.caching.coupling import Backhaul as Backhaul
from mecopt.caching.coupling import Forwarding as Forwarding
from mecopt.caching.instance import CachingInstance as CachingInstance
from mecopt.caching.observation import CachingObservation as CachingObservation
from mecopt.caching.pair import Pair as Pair
from mecopt.caching.plan import CachingPlan as CachingPlan
from mecopt.caching.plan import replay as replay
from mecopt.caching.prices import CachingPrices as CachingPrices
from mecopt.caching.rollout import rollout as rollout
