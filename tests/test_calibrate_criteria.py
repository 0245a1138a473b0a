"""What moves the chance to win: against independent computations, on simulated teams, and on real deals."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.special import expit

from salessim.calibrate.criteria import (
    EVIDENCED,
    NOT_EVIDENCED,
    STRENGTHS,
    CriteriaEffects,
    criteria_effects,
    criteria_from_tables,
)
from salessim.crm import read
from salessim.errors import DataError, ParameterError
from salessim.intervals import Z
from salessim.library import example_crm

FloatArray = npt.NDArray[np.float64]

ALL = [
    "Authority", "Comp_size", "Competitors", "Purch_dept", "Partnership", "Budgt_alloc", "Forml_tend", "RFI",
    "RFP", "Growth", "Posit_statm", "Source", "Client", "Scope", "Strat_deal", "Cross_sale", "Up_sale",
    "Needs_def", "Att_t_client",
]  # fmt: skip


@pytest.fixture(scope="module")
def salvirt(real_data: Path) -> pd.DataFrame:
    frame = pd.read_csv(real_data / "salvirt_b2b" / "Salvirt_B2B_ML_dataset.csv", sep=";", dtype=str)
    return frame.assign(won=frame["Status"] == "Won")


@pytest.fixture(scope="module")
def found(salvirt: pd.DataFrame) -> CriteriaEffects:
    return criteria_effects(salvirt, won="won", criteria=ALL)


def test_the_real_case_counts_every_deal_and_keeps_unknown(found: CriteriaEffects) -> None:
    assert (found.n, found.won) == (448, 227)  # 83 exact duplicates stay: there is no id to tell them by
    sums = found.levels.groupby("criterion")[["n", "won"]].sum()
    assert sums.drop_duplicates().to_numpy().tolist() == [[448, 227]]
    levels = {(row["criterion"], row["level"]): row for row in found.levels.to_dict("records")}
    assert ("Budgt_alloc", "Unknown") in levels
    joint, mail = levels["Source", "Joint past"], levels["Source", "Direct mail"]
    assert (joint["n"], joint["won"], mail["n"], mail["won"]) == (339, 208, 16, 0)
    assert 0.01 < mail["odds_ratio"] < 0.8  # never won, and still no certainty


def test_the_real_case_tells_more_than_the_base_rate(found: CriteriaEffects) -> None:
    told = found.prediction
    assert told.base_log_loss == pytest.approx(np.log(2), abs=0.002)
    assert told.better_than_base
    assert told.brier < told.base_brier
    assert 0.75 < told.auc < 0.95
    assert found.strength in STRENGTHS[1:-1]  # the best strength lies inside of what was tried
    top = found.criteria["criterion"].head(6).tolist()
    assert {"Competitors", "Client"} & set(top)
    assert found.criteria["typical_change"].is_monotonic_decreasing


def newton(x: FloatArray, y: FloatArray, strength: float) -> tuple[FloatArray, FloatArray]:
    """Ridge logistic regression by hand, the first column unpenalised: best weights and inverse curvature."""
    penalty = np.full(x.shape[1], strength)
    penalty[0] = 0.0
    weights = np.zeros(x.shape[1])
    for _ in range(9):
        chance = expit(x @ weights)
        curvature = (x.T * (chance * (1 - chance))) @ x + np.diag(penalty)
        weights = weights - np.linalg.solve(curvature, x.T @ (chance - y) + penalty * weights)
    return weights, np.linalg.inv(curvature)


def test_estimates_and_intervals_agree_with_an_independent_computation(
    salvirt: pd.DataFrame, found: CriteriaEffects
) -> None:
    dummies = pd.get_dummies(salvirt[ALL], columns=ALL, prefix_sep="\x1f", dtype=float)
    x = np.column_stack([np.ones(len(dummies)), dummies.to_numpy()])
    y = salvirt["won"].to_numpy(dtype=float)
    fold = salvirt.groupby("won").cumcount().to_numpy() % 5
    log_likelihood = []
    for strength in STRENGTHS:
        eta = np.concatenate(
            [x[fold == k] @ newton(x[fold != k], y[fold != k], strength)[0] for k in range(5)]
        )
        seen = np.concatenate([y[fold == k] for k in range(5)])
        log_likelihood.append(np.sum(seen * eta - np.logaddexp(0, eta)))
    assert found.strength == STRENGTHS[int(np.argmax(log_likelihood))]
    assert found.prediction.log_loss == pytest.approx(-max(log_likelihood) / 448, abs=1e-5)
    share = np.exp(np.array(log_likelihood) - max(log_likelihood))
    share = np.where(share < 0.01, 0, share) / share[share >= 0.01].sum()
    fits = [newton(x, y, strength) for strength in STRENGTHS]
    best = sum(part * weights for part, (weights, _) in zip(share, fits, strict=True))
    covariance = sum(
        part * (inverse + np.outer(weights - best, weights - best))
        for part, (weights, inverse) in zip(share, fits, strict=True)
    )
    base = np.log(y.mean() / (1 - y.mean()))
    owner = np.array([name.split("\x1f")[0] for name in dummies.columns])
    for row in found.levels.to_dict("records"):
        own = np.concatenate([[False], owner == row["criterion"]])
        contrast = np.where(own, -x.mean(axis=0), 0.0)
        contrast[1 + list(dummies.columns).index(f"{row['criterion']}\x1f{row['level']}")] += 1
        centre, spread = contrast @ best, Z * np.sqrt(contrast @ covariance @ contrast)
        ends = [centre, centre - spread, centre + spread]
        assert np.log([row["odds_ratio"], row["low"], row["high"]]) == pytest.approx(ends, abs=1e-4)
        assert row["change"] == pytest.approx(expit(base + centre) - y.mean(), abs=1e-4)
        assert row["could_be_luck"] == (centre - spread <= 0 <= centre + spread)


def test_with_much_data_it_is_the_plain_logit() -> None:
    import statsmodels.api as sm

    random = np.random.default_rng(3)
    a, b = random.random(4000) < 0.4, random.random(4000) < 0.7
    won = random.random(4000) < expit(-0.5 + 1.2 * a - 0.8 * b)
    frame = pd.DataFrame({"a": np.where(a, "yes", "no"), "b": np.where(b, "yes", "no"), "won": won})
    plain = sm.Logit(won.astype(float), sm.add_constant(np.column_stack([a, b]).astype(float))).fit(disp=0)
    rows = {
        (row["criterion"], row["level"]): row
        for row in criteria_effects(frame, won="won", criteria=["a", "b"]).levels.to_dict("records")
    }
    for place, (name, there) in enumerate((("a", a), ("b", b)), start=1):
        yes, no = rows[name, "yes"], rows[name, "no"]
        error = plain.bse[place]
        assert np.log(yes["odds_ratio"] / no["odds_ratio"]) == pytest.approx(
            plain.params[place], abs=error / 4
        )
        width = np.log(yes["high"] / yes["low"])
        assert width == pytest.approx(2 * Z * error * (1 - there.mean()), rel=0.05)


def test_intervals_hold_the_truth_in_80_percent_of_simulated_teams() -> None:
    """10 teams of 300 deals, eight criteria of two to four levels with effects of a known spread."""
    random = np.random.default_rng(20260630)
    held = total = 0
    for _ in range(10):
        frame: dict[str, npt.NDArray[np.str_]] = {}
        truth: dict[tuple[str, str], float] = {}
        eta = np.full(300, -0.2)
        for number in range(8):
            size = 2 + number % 3
            effect = random.normal(0, 0.6, size)
            level = random.choice(size, 300, p=random.dirichlet(np.full(size, 3.0)))
            eta += effect[level]
            mean = effect[level].mean()
            frame[f"c{number}"] = np.array([f"L{k}" for k in range(size)])[level]
            truth |= {(f"c{number}", f"L{k}"): effect[k] - mean for k in range(size)}
        deals = pd.DataFrame(frame).assign(won=random.random(300) < expit(eta))
        levels = criteria_effects(deals, won="won", criteria=list(frame)).levels
        pairs = zip(levels["criterion"], levels["level"], strict=True)
        value = np.exp([truth[pair] for pair in pairs])
        held += int(((levels["low"] <= value) & (value <= levels["high"])).sum())
        total += len(levels)
    # 230 intervals; those of one criterion hang together: the standard error is some 3 points
    assert 0.70 < held / total < 0.90


def test_noise_is_told_as_noise() -> None:
    random = np.random.default_rng(5)
    names = [f"c{k}" for k in range(8)]
    frame = pd.DataFrame({name: random.choice(["a", "b", "c"], 200) for name in names})
    noise = criteria_effects(frame.assign(won=random.random(200) < 0.4), won="won", criteria=names)
    assert not noise.prediction.better_than_base
    assert noise.levels["could_be_luck"].mean() > 0.7


def test_the_order_of_columns_does_not_matter_and_empty_is_a_level() -> None:
    random = np.random.default_rng(8)
    frame = pd.DataFrame(
        {
            "pain": random.choice(np.array(["known", None], dtype=object), 90),
            "fit": random.choice(["yes", "no"], 90),
            "same": "x",
        }
    ).assign(won=random.random(90) < 0.5)
    one = criteria_effects(frame, won="won", criteria=["pain", "fit", "same"])
    other = criteria_effects(frame, won="won", criteria=["fit", "pain"])
    key = ["criterion", "level"]
    left, right = (part.levels.sort_values(key, ignore_index=True) for part in (one, other))
    pd.testing.assert_frame_equal(left, right, rtol=1e-6)
    assert "not given" in left["level"].tolist()
    assert "same" not in left["criterion"].tolist()


def test_evidence_of_an_export_becomes_levels_and_late_evidence_does_not_count() -> None:
    tables = read(example_crm())
    deals = tables.opportunities
    closed = deals[deals["status"] != "open"].head(2)
    first, second = closed["opportunity_id"]
    day = closed["closed"].iloc[1]
    evidence = pd.DataFrame(
        {
            "opportunity_id": [
                first,
                second,
                second,
                deals.loc[deals["status"] == "open", "opportunity_id"].iat[0],
            ],
            "criterion": ["pain", "pain", "fit", "value"],
            "evidence": ["given"] * 4,
            "noted": [pd.NaT, day + pd.Timedelta(days=1), day, day],
        }
    )
    frame = criteria_from_tables(dataclasses.replace(tables, evidence=evidence)).set_index("opportunity_id")
    assert list(frame.columns) == ["rep", "segment", "won", "pain", "fit"]
    assert len(frame) == (deals["status"] != "open").sum()
    assert frame.loc[first, ["pain", "fit"]].tolist() == [EVIDENCED, NOT_EVIDENCED]
    assert frame.loc[second, ["pain", "fit"]].tolist() == [NOT_EVIDENCED, EVIDENCED]
    said_no = evidence.assign(evidence=[None, "given", "given", "given"], noted=pd.NaT)
    frame = criteria_from_tables(dataclasses.replace(tables, evidence=said_no)).set_index("opportunity_id")
    assert frame.loc[[first, second], "pain"].tolist() == [NOT_EVIDENCED, EVIDENCED]


@pytest.mark.parametrize(
    ("frame", "criteria", "said"),
    [
        ({"won": [True] * 30 + [False] * 9, "a": ["x", "y", "z"] * 13}, ["a"], "30 won and 9 lost"),
        ({"won": [True, False] * 20, "a": ["x"] * 40}, ["a"], "each has the same value"),
        ({"won": [True, False] * 20}, ["a"], "no column 'a'; it has 'won'"),
        ({"won": ["Won", "Lost"] * 20, "a": ["x", "y"] * 20}, ["a"], "must be True or False"),
    ],
)
def test_what_cannot_be_told_is_refused(
    frame: dict[str, list[object]], criteria: list[str], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        criteria_effects(pd.DataFrame(frame), won="won", criteria=criteria)


def test_no_criteria_is_refused() -> None:
    with pytest.raises(ParameterError, match="at least one criterion"):
        criteria_effects(pd.DataFrame({"won": [True]}), won="won", criteria=[])
