"""Buy-till-you-die models with exact likelihoods, analytic gradients and predictions that do not
overflow.

Symbols are the literature's: x repeat orders, t_x the time of the last, T the age, both since the
first order; n opportunities; m the mean spend of x orders. Each class is lifetimes' fitter of that
model with another `fit` (on distinct histories with their counts) and with predictions in forms
that stay finite for thousands of orders. It takes lifetimes' arguments and gives its shapes; what
it cannot honour it refuses by name.

Sources: BG/NBD: Fader, Hardie & Lee 2005; MBG/NBD: Batislam, Denizel & Filiztekin 2007; Pareto/NBD:
Schmittlein, Morrison & Colombo 1987, as derived by Fader & Hardie 2005; BG/BB: Fader, Hardie &
Shang 2010; Gamma-Gamma: Fader & Hardie 2013; BG/CNBD-k: Platzer & Reutterer 2016, as in BTYDplus
(Reutterer, Platzer & Schröder 2021).
"""

from analysis.models.btyd.bg_bb import BetaGeoBetaBinomFitter
from analysis.models.btyd.bg_nbd import REGULAR, BetaGeoFitter, ModifiedBetaGeoFitter
from analysis.models.btyd.gamma_gamma import GammaGammaFitter
from analysis.models.btyd.likelihood import Timed
from analysis.models.btyd.pareto_nbd import ParetoNBDFitter

__all__ = [
    "REGULAR",
    "BetaGeoBetaBinomFitter",
    "BetaGeoFitter",
    "GammaGammaFitter",
    "ModifiedBetaGeoFitter",
    "ParetoNBDFitter",
    "Timed",
]
