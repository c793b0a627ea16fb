"""The fitters beside lifetimes' own: the same arguments, shapes, types and numbers, or a refusal
that names the argument.
"""

import inspect
import json

import lifetimes
import numpy as np
import pandas as pd
import pytest
from lifetimes.fitters import BaseFitter

from analysis.errors import InputError
from analysis.models import btyd

from .test_btyd import MODELS, TIMED, named, sample

PREDICT = "conditional_expected_number_of_purchases_up_to_time"
ALIVE = "conditional_probability_alive"
PROFIT = "conditional_expected_average_profit"


def pair(model, seed=1, penalizer_coef=0.0, **arguments):
    """Ours and theirs fitted to the same histories."""
    columns = sample(model, 400, seed)
    if model is btyd.GammaGammaFitter:
        columns = (columns[0], columns[1] / 10)  # lifetimes does not scale money
    if model in TIMED:
        columns = (columns[0].astype(int), *columns[1:])
    both = (model(penalizer_coef), getattr(lifetimes, model.__name__)(penalizer_coef))
    np.random.seed(seed)  # noqa: NPY002  lifetimes draws its starts from the global generator
    exact = {"tol": 1e-9} if model is btyd.ParetoNBDFitter else {}
    return [each.fit(*columns, **(exact if each is both[1] else {}), **arguments) for each in both]


@pytest.fixture(scope="module")
def fitted():
    return {model: pair(model) for model in MODELS}


def alike(ours, theirs, rel=1e-6):
    assert type(ours) is type(theirs)
    assert np.shape(ours) == np.shape(theirs)
    if isinstance(theirs, pd.Series | pd.DataFrame):
        assert ours.index.equals(theirs.index)
    assert np.asarray(ours) == pytest.approx(np.asarray(theirs), rel=rel)


def test_every_public_name_and_argument_is_there():
    for model in MODELS:
        parent = getattr(lifetimes, model.__name__)
        assert issubclass(model, parent) and issubclass(model, BaseFitter)
        for name, method in inspect.getmembers(parent, inspect.isfunction):
            if name.startswith("_") and name != "__init__":
                continue
            theirs = inspect.signature(method).parameters.values()
            ours = inspect.signature(getattr(model, name)).parameters.values()
            kinds = [each.name for each in theirs if each.kind is not each.VAR_KEYWORD]
            assert [each.name for each in ours if each.kind is not each.VAR_KEYWORD] == kinds
            for own, their in zip(ours, theirs, strict=True):
                if own.name not in ("tol", "options"):  # ours is closer to the optimum
                    assert own.default == their.default, (named(model), name, own.name)


def test_what_is_learned_has_the_same_names_shapes_and_numbers(fitted):
    for model, (ours, theirs) in fitted.items():
        alike(ours.params_, theirs.params_, 0.02)
        assert ours._negative_log_likelihood_ <= theirs._negative_log_likelihood_ + 1e-9
        near = theirs._negative_log_likelihood_
        assert ours._negative_log_likelihood_ == pytest.approx(near, rel=1e-6)
        pd.testing.assert_frame_equal(ours.data, theirs.data)
        assert repr(ours).split(":")[:2] == repr(theirs).split(":")[:2]
        missing = {n for n in vars(theirs) if not n.startswith("_") and not hasattr(ours, n)}
        assert not missing
        if model is btyd.ParetoNBDFitter:  # lifetimes has no errors of it
            continue
        alike(ours.standard_errors_, theirs.standard_errors_, 0.05)
        assert np.diag(ours.variance_matrix_) == pytest.approx(
            np.diag(theirs.variance_matrix_), rel=0.1
        )
        middle = ours.confidence_intervals_.mean(axis=1)
        assert middle.to_numpy() == pytest.approx(ours.params_.to_numpy())
        assert list(ours.summary) == list(theirs.summary)
        assert ours.confidence_intervals_.shape == theirs.confidence_intervals_.shape


def inputs(*columns):
    """The same histories as arrays, as Series of their own index, as columns, as one customer."""
    arrays = [np.asarray(column, float)[:6] for column in columns]
    yield arrays
    yield [pd.Series(column, list("fedcba")) for column in arrays]
    yield [column[:, None] for column in arrays]
    yield [column[1] for column in arrays]


def test_predictions_have_the_same_shapes_types_and_numbers(fitted):
    for model, (fit, theirs) in fitted.items():
        ours = fit.with_parameters(theirs.params_)
        ours.data = theirs.data
        for columns in inputs(*sample(model)[: 2 if model is btyd.GammaGammaFitter else 3]):
            if model is btyd.GammaGammaFitter:
                alike(getattr(ours, PROFIT)(*columns), getattr(theirs, PROFIT)(*columns))
                continue
            if model is btyd.ParetoNBDFitter and np.ndim(columns[0]) == 2:
                continue  # which lifetimes' own cannot
            past = (2, *columns) if model is btyd.BetaGeoBetaBinomFitter else columns
            alike(getattr(ours, PREDICT)(3, *columns), getattr(theirs, PREDICT)(3, *columns))
            alike(getattr(ours, ALIVE)(*past), getattr(theirs, ALIVE)(*past))
        if model in TIMED:
            alike(ours.predict(9.0, 2, 8.0, 20.0), getattr(theirs, PREDICT)(9.0, 2, 8.0, 20.0))
            new = "expected_number_of_purchases_up_to_time"
            for t in (5.0, np.array([1.0, 30.0]), pd.Series([1.0, 30.0], ["x", "y"])):
                alike(getattr(ours, new)(t), getattr(theirs, new)(t))
            matrix = f"{ALIVE}_matrix"
            alike(getattr(ours, matrix)(4, 9), getattr(theirs, matrix)(4, 9))
            if model is not btyd.ParetoNBDFitter:  # of which lifetimes has none
                for n in (0, 1, 4):
                    chance = "probability_of_n_purchases_up_to_time"
                    alike(getattr(ours, chance)(9.0, n), getattr(theirs, chance)(9.0, n))


def test_defaults_and_lifetime_value_of_spend(fitted):
    ours, theirs = fitted[btyd.GammaGammaFitter]
    ours = ours.with_parameters(theirs.params_)
    ours.data = theirs.data
    alike(getattr(ours, PROFIT)(), getattr(theirs, PROFIT)())
    both = fitted[btyd.BetaGeoFitter]
    x, t_x, T = (pd.Series(np.asarray(c[:6], float)) for c in sample(btyd.BetaGeoFitter))
    m = pd.Series(np.arange(1.0, 7))
    orders = both[0].with_parameters(both[1].params_)
    value = ours.customer_lifetime_value(orders, x, t_x, T, m, time=3, freq="W")
    alike(value, theirs.customer_lifetime_value(both[1], x, t_x, T, m, time=3, freq="W"))


def test_the_penalty_shrinks_as_in_lifetimes(fitted):
    for model in MODELS:
        coefficient = 20.0 if model is btyd.ParetoNBDFitter else 0.05
        ours, theirs = pair(model, penalizer_coef=coefficient)
        alike(ours.params_, theirs.params_, 0.02)
        near = theirs._negative_log_likelihood_
        assert ours._negative_log_likelihood_ == pytest.approx(near, rel=1e-5)
        free = fitted[model][0]
        assert ours.log_likelihood_ < free.log_likelihood_  # which is stated without the penalty
        columns = ours.data[list(model.columns)].to_numpy().T
        assert ours.log_likelihood_ == pytest.approx(ours.log_likelihoods(*columns).sum())


def test_index_weights_start_and_tolerance_are_honoured(capsys):
    for model in MODELS:
        columns = sample(model, 300)
        names = [f"c{n}" for n in range(300)]
        plain = model().fit(*columns, index=names)
        assert plain.data.index.tolist() == names
        twice = model().fit(*columns, weights=np.full(300, 2))
        assert twice.log_likelihood_ == pytest.approx(2 * plain.log_likelihood_)
        assert twice.data.weights.tolist() == [2] * 300
        as_series = model().fit(*map(pd.Series, columns))
        as_columns = model().fit(*(np.asarray(column)[:, None] for column in columns))
        assert as_series.params_.equals(plain.params_) and as_columns.params_.equals(plain.params_)
        start = np.full(len(model.names), 0.5)
        capsys.readouterr()
        begun = model().fit(*columns, initial_params=start, verbose=True, maxiter=400)
        assert begun.params_.to_numpy() == pytest.approx(plain.params_.to_numpy(), rel=1e-5)
        assert "log-likelihood" in capsys.readouterr().out
        loose = model().fit(*columns, tol=0.2)
        assert loose.params_.to_numpy() == pytest.approx(plain.params_.to_numpy(), rel=0.2)
        with pytest.raises(InputError, match=r"^gtol: .*leave it out"):
            model().fit(*columns, gtol=1e-3)
        with pytest.raises(ValueError, match="not been fit"):
            model().log_likelihoods(*columns)


def test_arguments_of_pareto_and_of_spend():
    columns, model = sample(btyd.ParetoNBDFitter, 300), btyd.ParetoNBDFitter
    once, often = model().fit(*columns), model().fit(*columns, iterative_fitting=3)
    assert often.params_.to_numpy() == pytest.approx(once.params_.to_numpy(), rel=1e-5)
    for given, message in (
        ({"fit_method": "Powell"}, "fit_method 'Powell'"),
        ({"iterative_fitting": 0}, "iterative_fitting"),
        ({"iterative_fitting": 2, "initial_params": [1, 1, 1, 1]}, "initial_params"),
    ):
        with pytest.raises(ValueError, match=message):  # as lifetimes raises
            model().fit(*columns, **given)
    heavy = np.random.default_rng(3)
    x = heavy.geometric(0.3, 400)
    m = heavy.gamma(6 * x) / heavy.gamma(0.7, 1 / 5, 400) / x
    free = btyd.GammaGammaFitter().fit(x, m)
    held = btyd.GammaGammaFitter().fit(x, m, q_constraint=True)
    assert free.params_["q"] < 1 and held.params_["q"] == pytest.approx(1)
    assert held.log_likelihood_ < free.log_likelihood_
    tame = sample(btyd.GammaGammaFitter, 300)
    same = btyd.GammaGammaFitter().fit(*tame, q_constraint=True).params_
    assert same.to_numpy() == pytest.approx(btyd.GammaGammaFitter().fit(*tame).params_.to_numpy())


def test_saving_and_loading_as_lifetimes_users_do(fitted, tmp_path):
    path = tmp_path / "model.json"
    for model, (ours, _) in fitted.items():
        ours.save_model(path)
        json.loads(path.read_text("utf-8"))
        again = model()
        again.load_model(path)
        for name in ("_scale", "penalizer_coef", "_negative_log_likelihood_", "log_likelihood_"):
            assert getattr(again, name) == getattr(ours, name)
        pd.testing.assert_frame_equal(again.data, ours.data)
        assert again.params_.equals(ours.params_)
        if model is not btyd.GammaGammaFitter:
            assert np.ravel(again.predict(3, 2, 4, 6)) == np.ravel(ours.predict(3, 2, 4, 6))
        ours.save_model(str(path), save_data=False, save_generate_data_method=False)
        again = model()
        again.load_model(path)
        assert again.data is None and again.generate_new_data is None
        ours.save_model(path, save_data=False, values_to_save=[""])
        again.load_model(path)
        assert again.data == ""
        with pytest.raises(InputError, match=r"values_to_save.*never pickled"):
            ours.save_model(path, save_data=False, values_to_save=[object()])
    (tmp_path / "pickle").write_bytes(b"\x80\x04\x95\x00.")
    for text in ("\x80\x04no", "{}"):
        (tmp_path / "other").write_text(text, "utf-8")
        with pytest.raises(InputError):
            btyd.BetaGeoFitter().load_model(tmp_path / "other")
    with pytest.raises(InputError, match="any code"):
        btyd.BetaGeoFitter().load_model(tmp_path / "pickle")


def test_new_data_come_from_the_model(fitted):
    for model in TIMED:
        ours, theirs = fitted[model]
        made = ours.generate_new_data(size=400)
        assert list(made) == list(theirs.generate_new_data(size=400))
        ages = made["T"].to_numpy()
        mean = ours.expected_number_of_purchases_up_to_time(ages).mean()
        assert made.frequency.mean() == pytest.approx(mean, rel=0.3)
    donors = fitted[btyd.BetaGeoBetaBinomFitter][0].generate_new_data()
    assert {"frequency", "recency", "n_periods"} <= {*donors}
