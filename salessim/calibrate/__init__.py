"""From a CRM's history to a scenario: every parameter with its interval, its sample size, and its doubts.

Open deals are censored, not ignored: the share won and the time to win come from the Aalen-Johansen
estimator of competing risks (a deal moves on, is lost, or is still there). Spreads between reps and between
quarters are what is left after the luck of Poisson counts (Paule and Mandel 1982; intervals by the Q-profile
of Viechtbauer 2007). Reps are partially pooled: a seller with few deals is drawn towards the team. Season,
growth and differences between sources are kept only where they are more than luck.

:func:`posterior_check` puts the past beside what the scenario would have said of it; draws of the parameters
(:meth:`Calibration.draws`) show how far the estimates themselves are in doubt.
"""

from salessim.calibrate.calibration import Calibration, Evidence, calibrate
from salessim.calibrate.check import PosteriorCheck, posterior_check
from salessim.calibrate.draws import MixedForecast, forecast_with_doubt
from salessim.calibrate.estimates import Parameter
from salessim.intervals import LEVEL

__all__ = [
    "LEVEL",
    "Calibration",
    "Evidence",
    "MixedForecast",
    "Parameter",
    "PosteriorCheck",
    "calibrate",
    "forecast_with_doubt",
    "posterior_check",
]
