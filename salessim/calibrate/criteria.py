"""How much each qualification criterion moves the chance to win [A3], from deals that are closed.

A ridge logistic regression of won or lost on the levels of all criteria at once. Ridge, since a team has few
closed deals and many levels: without it, a level of five deals that were all won would count as certainty.
Its strength is found by how well it predicts deals which it has not seen (cross-validation on fixed folds).
Intervals come from the Laplace approximation of the ridge posterior: the ridge is a normal prior, the
curvature of the likelihood plus the prior at the best fit is the inverse covariance. Intervals of an
unpenalised regression (such as those of statsmodels' Logit) do not exist for levels that were always won.
The data never say for sure how strong the ridge must be, so strengths are mixed, each weighted by the
likelihood of the unseen deals (Geisser and Eddy 1979): with the best one alone, 80 % intervals held the
truth in 70 to 75 % of simulated teams.

What is found is not what would happen: a deal that goes well anyway collects more evidence on its way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.crm import Tables
from salessim.errors import DataError, ParameterError, listed
from salessim.intervals import Z

__all__ = [
    "EVIDENCED",
    "FEW_DEALS",
    "NOT_EVIDENCED",
    "NOT_GIVEN",
    "CriteriaEffects",
    "Prediction",
    "criteria_effects",
    "criteria_from_tables",
]

FloatArray = npt.NDArray[np.float64]

#: Level of a deal whose cell is empty.
NOT_GIVEN = "not given"
#: The two levels of a criterion that comes from the table of evidence.
EVIDENCED, NOT_EVIDENCED = "evidenced", "not evidenced"
#: Below so many won or so many lost deals nothing is estimated.
FEW_DEALS = 10

FOLDS = 5
#: Strengths of the ridge that are tried: 1 ÷ variance of a level's log odds. The strongest says that a level
#: moves the odds by some 10 %; stronger ones would call it certain that nothing matters.
STRENGTHS = tuple(float(value) for value in np.logspace(-1, 2, 7))


@dataclass(frozen=True)
class Prediction:
    """How well the criteria tell won from lost on deals that were not used to estimate them.

    ``log_loss`` and ``brier``: the lower the better; ``base_log_loss`` and ``base_brier`` are those of
    somebody who only knows the share won. ``auc``: chance that a won deal is rated above a lost one (0.5:
    no better than a coin). ``gain`` is base_log_loss − log_loss with its 80 % interval over deals; where the
    interval reaches below 0, the criteria may tell nothing.
    """

    log_loss: float
    base_log_loss: float
    brier: float
    base_brier: float
    auc: float
    gain: float
    gain_low: float
    gain_high: float

    @property
    def better_than_base(self) -> bool:
        """Whether the criteria predict better than the share won alone, beyond luck."""
        return self.gain_low > 0


@dataclass(frozen=True, eq=False)
class CriteriaEffects:
    """What each level of each criterion goes with, and whether the whole says more than the share won.

    - ``levels``: one row per criterion and level: criterion, level, n (closed deals), won (how many of them),
      odds_ratio with low and high (odds to win against the average deal, the other criteria being equal),
      change with change_low and change_high (of the chance to win at the average deal, a fraction: 0.1 is
      ten percentage points), could_be_luck (the interval holds *no change*). Intervals are 80 %.
    - ``criteria``: one row per criterion, the one that moves most first: criterion, levels, typical_change
      (root mean square of its changes over the deals).
    - ``prediction``: see :class:`Prediction`.
    - ``strength``: the ridge that predicts unseen deals best. ``n`` and ``won``: deals used.
    """

    levels: pd.DataFrame
    criteria: pd.DataFrame
    prediction: Prediction
    strength: float
    n: int
    won: int


def criteria_effects(frame: pd.DataFrame, *, won: str, criteria: Sequence[str]) -> CriteriaEffects:
    """Estimate how much each criterion moves the chance to win, all of them together.

    Args:
        frame: one row per closed deal; rows that are alike are deals that are alike, and all count.
        won: column of True and False.
        criteria: columns whose values are levels; ``Unknown`` is a level like any other, an empty cell is
            the level :data:`NOT_GIVEN`. Columns with one level only tell nothing, and have no row.

    Raises:
        DataError: a column is missing or ``won`` is not True and False, fewer than :data:`FEW_DEALS` deals
            were won or lost, or no criterion has two levels.
        ParameterError: no criteria are named.

    >>> deals = pd.DataFrame({
    ...     "decision maker": ["known"] * 40 + ["Unknown"] * 40,
    ...     "won": [True] * 30 + [False] * 10 + [True] * 10 + [False] * 30,
    ... })
    >>> found = criteria_effects(deals, won="won", criteria=["decision maker"])
    >>> found.levels[["level", "n", "could_be_luck"]].values.tolist()
    [['Unknown', 40, False], ['known', 40, False]]
    >>> found.prediction.better_than_base
    True
    """
    outcome = _outcome(frame, won, criteria)
    levels = {name: _levels(frame[name]) for name in criteria}
    told = [name for name in criteria if levels[name].nunique() > 1]
    if not told:
        raise DataError(
            f"criteria {listed(criteria)}: each has the same value in all deals, so none can tell"
        )
    columns, design = _one_hot(levels, told)
    folds = _folds(outcome)
    unseen = {strength: _unseen(design, outcome, folds, strength) for strength in STRENGTHS}
    losses = {strength: float(_log_losses(chance, outcome).mean()) for strength, chance in unseen.items()}
    strength = min(STRENGTHS, key=losses.__getitem__)
    weights, covariance = _posterior(design, outcome, losses)
    shares = design.mean(axis=0)
    middle = float(_logit(outcome.mean()))
    rows = []
    for name in told:
        own = np.array([column == name for column, _ in columns])
        average = np.where(own, shares, 0.0)
        for place in np.flatnonzero(own):
            contrast = -average
            contrast[place] += 1
            centre = float(contrast @ weights)
            spread = Z * float(np.sqrt(contrast @ covariance @ contrast))
            at = [centre, centre - spread, centre + spread]
            change = _logistic(middle + np.array(at)) - outcome.mean()
            held = design[:, place] > 0
            counts = int(held.sum()), int(outcome[held].sum())
            rows.append([name, columns[place][1], *counts, *np.exp(at), *change, at[1] <= 0 <= at[2]])
    table = pd.DataFrame(
        rows,
        columns=[
            "criterion", "level", "n", "won", "odds_ratio", "low", "high",
            "change", "change_low", "change_high", "could_be_luck",
        ],
    )  # fmt: skip
    return CriteriaEffects(
        levels=table,
        criteria=_by_criterion(table),
        prediction=_prediction(unseen[strength], outcome, folds),
        strength=strength,
        n=len(outcome),
        won=int(outcome.sum()),
    )


def criteria_from_tables(tables: Tables) -> pd.DataFrame:
    """Return the closed deals of an export with what was evidenced about each before it closed.

    Evidence that was noted after the deal closed is not counted: it cannot have qualified the deal. Deals
    without any evidence count as such only if the export keeps evidence of closed deals at all.

    Returns:
        One row per won or lost deal: opportunity_id, rep, segment, won (bool), and one column per criterion
        of the evidence table with :data:`EVIDENCED` or :data:`NOT_EVIDENCED`. No criterion column where no
        closed deal has evidence.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> criteria_from_tables(read(example_crm())).columns[:4].tolist()
    ['opportunity_id', 'rep', 'segment', 'won']
    """
    deals = tables.opportunities
    closed = deals[deals["status"] != "open"].reset_index(drop=True)
    frame = closed[["opportunity_id", "rep", "segment"]].assign(won=closed["status"] == "won")
    known = tables.evidence[tables.evidence["evidence"].notna()]  # "no" stands there as missing
    known = known.merge(closed[["opportunity_id", "closed"]], on="opportunity_id")
    known = known[~(known["noted"] > known["closed"])]
    for criterion in known["criterion"].drop_duplicates():
        there = frame["opportunity_id"].isin(known.loc[known["criterion"] == criterion, "opportunity_id"])
        frame[str(criterion)] = np.where(there, EVIDENCED, NOT_EVIDENCED)
    return frame


def _outcome(frame: pd.DataFrame, won: str, criteria: Sequence[str]) -> FloatArray:
    if not criteria:
        raise ParameterError("name at least one criterion")
    missing = [name for name in [won, *criteria] if name not in frame.columns]
    if missing:
        raise DataError(f"the table has no column {listed(missing)}; it has {listed(list(frame.columns))}")
    values = set(frame[won].unique())
    if not values <= {True, False}:
        raise DataError(
            f"column '{won}' must be True or False; it also has {listed(list(values - {True, False}))}"
        )
    outcome = frame[won].to_numpy(dtype=np.float64)
    wins, losses = int(outcome.sum()), int((1 - outcome).sum())
    if min(wins, losses) < FEW_DEALS:
        raise DataError(
            f"{wins} won and {losses} lost deals are too few to tell what matters; "
            f"at least {FEW_DEALS} of each are needed"
        )
    return outcome


def _levels(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), NOT_GIVEN).astype(str)


def _one_hot(levels: dict[str, pd.Series], told: Sequence[str]) -> tuple[list[tuple[str, str]], FloatArray]:
    """One column per level of each criterion (the ridge makes a reference level needless)."""
    columns = [(name, level) for name in told for level in sorted(levels[name].unique())]
    design = np.column_stack([(levels[name] == level).to_numpy(dtype=np.float64) for name, level in columns])
    return columns, design


def _folds(outcome: FloatArray) -> npt.NDArray[np.int64]:
    """The fold of each deal: won and lost deals are dealt out in turn, the same way every time."""
    folds = np.empty(len(outcome), dtype=np.int64)
    for value in (0.0, 1.0):
        places = np.flatnonzero(outcome == value)
        folds[places] = np.arange(len(places)) % FOLDS
    return folds


def _fit(design: FloatArray, outcome: FloatArray, strength: float) -> tuple[FloatArray, float]:
    from sklearn.linear_model import LogisticRegression

    # rows that are alike are fitted as one with a weight: the same estimate, sooner
    rows, counts = np.unique(np.column_stack([design, outcome]), axis=0, return_counts=True)
    model = LogisticRegression(C=1 / strength, solver="newton-cholesky", tol=1e-8, max_iter=200)
    model.fit(rows[:, :-1], rows[:, -1], sample_weight=counts)
    return np.asarray(model.coef_[0]), float(model.intercept_[0])


def _posterior(
    design: FloatArray, outcome: FloatArray, losses: Mapping[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Mean log odds of the levels and their covariance, mixed over the strengths of the ridge."""
    likelihood = {
        strength: np.exp(-len(outcome) * (loss - min(losses.values()))) for strength, loss in losses.items()
    }
    means, covariances, shares = [], [], []
    for strength, weight in likelihood.items():
        if weight < 0.01:  # too unlikely to be seen in the result
            continue
        mean, covariance = _laplace(design, outcome, strength)
        means.append(mean)
        covariances.append(covariance)
        shares.append(weight)
    share = np.array(shares) / sum(shares)
    centre = share @ np.array(means)
    apart = np.array(means) - centre
    # law of total variance: within each strength, and between the strengths
    within = np.tensordot(share, np.array(covariances), axes=1)
    return np.asarray(centre), np.asarray(within + (apart * share[:, None]).T @ apart)


def _laplace(design: FloatArray, outcome: FloatArray, strength: float) -> tuple[FloatArray, FloatArray]:
    """Best log odds of the levels for one strength, and the inverse curvature there."""
    weights, intercept = _fit(design, outcome, strength)
    chance = _logistic(design @ weights + intercept)
    full = np.column_stack([design, np.ones(len(design))])
    prior = np.diag([strength] * design.shape[1] + [0.0])
    curvature = (full * (chance * (1 - chance))[:, None]).T @ full + prior
    return weights, np.asarray(np.linalg.inv(curvature)[:-1, :-1], dtype=np.float64)


def _unseen(
    design: FloatArray, outcome: FloatArray, folds: npt.NDArray[np.int64], strength: float
) -> FloatArray:
    """Chance to win of each deal, as estimated from the other folds."""
    chance = np.empty(len(outcome))
    for fold in range(FOLDS):
        held = folds == fold
        weights, intercept = _fit(design[~held], outcome[~held], strength)
        chance[held] = _logistic(design[held] @ weights + intercept)
    return chance


def _prediction(chance: FloatArray, outcome: FloatArray, folds: npt.NDArray[np.int64]) -> Prediction:
    from sklearn.metrics import roc_auc_score

    base = np.array([outcome[folds != fold].mean() for fold in folds])
    own, plain = _log_losses(chance, outcome), _log_losses(base, outcome)
    gains = plain - own
    half = Z * float(gains.std(ddof=1)) / np.sqrt(len(gains))
    return Prediction(
        log_loss=float(own.mean()),
        base_log_loss=float(plain.mean()),
        brier=float(np.mean((chance - outcome) ** 2)),
        base_brier=float(np.mean((base - outcome) ** 2)),
        auc=float(roc_auc_score(outcome, chance)),
        gain=float(gains.mean()),
        gain_low=float(gains.mean() - half),
        gain_high=float(gains.mean() + half),
    )


def _by_criterion(levels: pd.DataFrame) -> pd.DataFrame:
    """How far each criterion typically moves the chance to win, the one that moves most first."""
    squares = levels.assign(square=levels["n"] * levels["change"] ** 2).groupby("criterion", sort=False)
    table = pd.DataFrame(
        {
            "levels": squares.size(),
            "typical_change": np.sqrt(squares["square"].sum() / squares["n"].sum()),
        }
    )
    return table.reset_index().sort_values(
        "typical_change", ascending=False, kind="stable", ignore_index=True
    )


def _logistic(value: FloatArray) -> FloatArray:
    from scipy.special import expit

    return np.asarray(expit(value))


def _logit(share: float) -> float:
    return float(np.log(share / (1 - share)))


def _log_losses(chance: FloatArray, outcome: FloatArray) -> FloatArray:
    safe = np.clip(chance, 1e-12, 1 - 1e-12)
    return np.asarray(-(outcome * np.log(safe) + (1 - outcome) * np.log(1 - safe)))
