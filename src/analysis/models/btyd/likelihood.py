"""What the fitters share: maximum likelihood, standard errors, and saving as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from analysis.models.btyd.histories import Coded, Data, FitError, Floats, check_histories, distinct

SCHEMA = 1
RUNAWAY = 1e4  # a parameter beyond this, in the data's own scale, is not determined by the data
WARM_START = 2_000  # customers that find the neighbourhood of the optimum before all are used
CURVATURE = 10_000  # customers that tell how the likelihood bends
MOST_STEPS, PRECISION = 25, 1e-8  # of Newton's method, in log parameters
FLAT = 1e-3  # a log-likelihood that bends less in a direction knows it to a factor of e^60 only
STEP = 1e-4  # of log parameters, for second derivatives from exact first ones
TENTHS = 10  # of the longest age: the unit of time; lifetimes takes the whole
REACH = 12.0  # of log parameters in the data's own scale


class Fitter:
    """A model fitted by maximum likelihood, in a unit in which the data are of the order of one.

    Learned: params_ (per unit of the data), log_likelihood_ (as the papers state it, without the
    penalty), standard_errors_, confidence_intervals_ (95 %), variance_matrix_, data (as given),
    problem_ ('' or why the parameters mean nothing: not_identified).
    """

    names: ClassVar[tuple[str, ...]]
    columns: ClassVar[tuple[str, ...]]
    in_unit: ClassVar[tuple[str, ...]] = ()  # of both, those in the data's unit of time or money
    params_: pd.Series
    data: pd.DataFrame
    _unload_params: Any
    _compute_standard_errors: Any
    _compute_confidence_intervals: Any
    _like: "Fitter | None" = None

    def __init__(self, penalizer_coef: float = 0.0) -> None:
        """`penalizer_coef`: weight of the sum of squared parameters, as in lifetimes."""
        self.penalizer_coef = penalizer_coef

    def _terms(self, params: Floats, data: Data) -> tuple[Floats, list[Floats]]:
        """Log-likelihood of each history and its derivatives by each parameter."""
        raise NotImplementedError

    def _unit(self, rows: tuple[Floats, ...]) -> tuple[float, Floats]:
        """The unit, and the log-density that it adds to each history."""
        return 1.0, np.zeros_like(rows[0])

    def _theirs(self) -> tuple[Floats, float]:
        """lifetimes' parameters over ours in our unit, and its mean negative log-likelihood less
        ours.
        """
        return np.ones(len(self.names)), 0.0

    def _penalised(self) -> Floats:
        """The weight of each squared parameter on the mean log-likelihood."""
        return self.penalizer_coef * self._theirs()[0] ** 2

    def _logs(self, initial_params: Floats) -> Floats:
        """What lifetimes takes as initial parameters, as logarithms in our unit."""
        return initial_params - np.log(self._theirs()[0])

    def _params(self) -> Floats:
        return np.array(self._unload_params(*self.names), float)

    def _units(self) -> Floats:
        return np.where(np.isin(self.names, self.in_unit), self._scale, 1.0)

    def _fit_to(
        self,
        rows: tuple[Floats, ...],
        weights: ArrayLike | None,
        initial_params: ArrayLike | None,
        verbose: bool,
        tol: float,
        index: Any,
        options: Mapping[str, Any],
        starts: int = 1,
    ) -> Self:
        """`tol`: steps of the log parameters below it end the fit. `options`: maxiter alone, most
        steps of the descent.
        """
        for name in set(options) - {"maxiter"}:
            raise FitError(
                f"{name}: an option of scipy's minimisers that this fit does not have, because it"
                " follows exact gradients to the optimum by Newton's method; leave it out"
            )
        self._most_steps, self._precision = int(options.get("maxiter", 500)), tol
        counted = np.ones(len(rows[0]), int) if weights is None else np.ravel(np.asarray(weights))
        columns = dict(zip(self.columns, rows, strict=True)) | {"weights": counted}
        self.data = pd.DataFrame(columns, index).astype({"frequency": int})
        coded, self._counts = distinct(rows, None if weights is None else counted)
        self._scale, density = self._unit(tuple(column.all() for column in coded))
        self._coded = tuple(
            Coded(column.levels / self._scale, column.where) if name in self.in_unit else column
            for name, column in zip(self.columns, coded, strict=True)
        )
        self._penalty = self._penalised()
        start = np.zeros(len(self.names))
        if initial_params is not None:
            start = self._logs(np.asarray(initial_params, float))
        self._maximise(start, starts)
        self.log_likelihood_ += float(self._counts @ density)
        if verbose:
            print(f"log-likelihood {self.log_likelihood_:.6f}\n{self.params_.to_string()}")
        return self

    def _objective(self, theta: Floats, data: Data, counts: Floats) -> tuple[float, Floats]:
        """Mean negative log-likelihood, with the penalty, and its gradient in the logarithms of the
        parameters.
        """
        params = np.exp(theta)
        value, slopes = self._terms(params, data)
        # no BLAS: its threads cost more than they save
        added = [np.einsum("i,i->", counts, term) for term in (value, *slopes)]
        total, squares = counts.sum(), self._penalty * params**2
        return (
            -float(added[0]) / total + float(squares.sum()),
            -np.array(added[1:]) * params / total + 2 * squares,
        )

    def _sample(self, customers: int) -> tuple[Data, Floats]:
        """About so many customers, drawn by their counts; everybody where they are few."""
        if len(self._counts) <= 2 * customers:
            return self._coded, self._counts
        counts = np.random.default_rng(0).multinomial(customers, self._counts / self._counts.sum())
        drawn = np.flatnonzero(counts)
        some = tuple(Coded(column.levels, column.where[drawn]) for column in self._coded)
        return some, counts[drawn].astype(float)

    def near(self, other: "Fitter") -> Self:
        """Fit from the optimum of a fit of the same model to similar data, say of the same company
        on another day, with its curvature: a few passes. Where that does not settle, as ever.
        """
        self._like = other if type(other) is type(self) and not other.problem_ else None
        return self

    def _follow(self, other: "Fitter") -> bool:
        """Whether the steps from another's optimum settled, and were taken."""
        start = np.log(other.params_.to_numpy() / self._units())
        near = self._newton(start, _inverse(other._curvature), self._coded, self._counts)
        if near is None:
            return False
        self._finish(near, self._hessian(near, *self._sample(CURVATURE)))
        return not self.problem_

    def _maximise(self, start: Floats, starts: int) -> None:
        """A sample finds the neighbourhood of the optimum and its curvature there, so that all need
        few passes. Of several starts the best counts; those after the first are drawn around it.
        """
        if self._like is not None and self._follow(self._like):
            return
        around = np.random.default_rng(0).normal(0, 1, (starts, len(self.names)))
        around[0] = 0
        some = self._sample(WARM_START)
        found = [self._descend(start + step, *some) for step in around]
        theta = min(found, key=lambda reached: self._objective(reached, *some)[0])
        some = self._sample(CURVATURE)
        inverse = _inverse(self._hessian(theta, *some))
        near = self._newton(theta, inverse, self._coded, self._counts)
        if near is None or not self._settled(curvature := self._hessian(near, *some)):
            # the sample may have gone up a ridge without a top, where that of all has one
            tops = theta, self._descend(start, self._coded, self._counts)
            near = min(tops, key=lambda top: self._objective(top, self._coded, self._counts)[0])
            curvature = self._hessian(near, self._coded, self._counts)
        self._finish(near, curvature)

    def _settled(self, curvature: Floats) -> bool:
        """Whether the data tell the parameters in every direction, whatever their scale."""
        return bool(np.linalg.eigvalsh(curvature).min() * self._counts.sum() > FLAT)

    def _descend(self, theta: Floats, data: Data, counts: Floats) -> Floats:
        options = {"ftol": 1e-15, "gtol": 1e-9, "maxcor": 20, "maxiter": self._most_steps}
        with np.errstate(all="ignore"):  # a line search steps back from where nothing is finite
            found = minimize(
                self._objective,
                theta,
                (data, counts),
                "L-BFGS-B",
                jac=True,
                bounds=self._bounds(),
                options=options,
            )
        return np.asarray(found.x)

    def _bounds(self) -> list[tuple[float, float]]:
        """Of the log parameters."""
        return [(-REACH, REACH)] * len(self.names)

    def _newton(self, theta: Floats, inverse: Floats, data: Data, counts: Floats) -> Floats | None:
        """Steps by a curvature that Broyden's rule (BFGS) keeps up to date, as far as it does not
        bend the wrong way; None where they do not settle.
        """
        slope = self._objective(theta, data, counts)[1]
        low, high = np.transpose(self._bounds())
        for _ in range(MOST_STEPS):
            step = -inverse @ slope
            if not np.isfinite(step).all():
                return None
            step /= max(1.0, np.abs(step).max())
            theta = theta + step
            if np.abs(step).max() < self._precision:
                return theta if ((theta > low) & (theta < high)).all() else None
            new = self._objective(theta, data, counts)[1]
            change, slope = new - slope, new
            if (along := float(step @ change)) > 0:
                turn = np.eye(len(step)) - np.outer(step, change) / along
                inverse = turn @ inverse @ turn.T + np.outer(step, step) / along
        return None

    def _hessian(self, theta: Floats, data: Data, counts: Floats) -> Floats:
        slopes = [
            [self._objective(theta + sign * step, data, counts)[1] for sign in (1, -1)]
            for step in np.eye(len(theta)) * STEP
        ]
        hessian = np.array([above - below for above, below in slopes]) / (2 * STEP)
        return (hessian + hessian.T) / 2

    def _finish(self, theta: Floats, curvature: Floats) -> None:
        total = self._counts.sum()
        self._theta, self._curvature = theta, curvature
        self.params_ = pd.Series(np.exp(theta) * self._units(), list(self.names))
        objective, slope = self._objective(theta, self._coded, self._counts)
        penalty = float((self._penalty * np.exp(2 * theta)).sum())
        self._negative_log_likelihood_ = objective + self._theirs()[1]
        self.log_likelihood_ = -(objective - penalty) * total
        left = np.abs(np.linalg.pinv(curvature, hermitian=True) @ slope).max()  # to the top
        sound = self._settled(curvature) and left < 1 and np.exp(np.abs(theta)).max() < RUNAWAY
        self.problem_ = "" if sound else "not_identified"
        self.log_covariance_ = np.linalg.pinv(curvature * total, hermitian=True)
        self._errors()

    def _errors(self) -> None:
        params, index = self.params_.to_numpy(), list(self.names)
        matrix = np.outer(params, params) * self.log_covariance_
        np.fill_diagonal(matrix, np.clip(np.diag(matrix), 0, None))
        self.variance_matrix_ = pd.DataFrame(matrix, index, index)
        self.standard_errors_ = self._compute_standard_errors()
        self.confidence_intervals_ = self._compute_confidence_intervals()

    def log_likelihoods(self, *columns: ArrayLike) -> Floats:
        """The log-likelihood of each history (columns as in fit) under the parameters."""
        return self._terms(self._params(), tuple(map(Coded.of, columns)))[0]

    def refits(self, times: int, seed: int) -> Floats:
        """Parameters of `times` refits to resampled customers (Poisson bootstrap of the counts);
        shape (times, parameters).

        Starts at the optimum with its curvature, so that a refit costs a few passes over the
        distinct histories.
        """
        generator = np.random.default_rng(seed)
        drawn = np.empty((times, len(self.names)))
        for row in drawn:
            counts = generator.poisson(self._counts).astype(float)
            theta = self._newton(self._theta, _inverse(self._curvature), self._coded, counts)
            row[:] = np.exp(self._theta if theta is None else theta) * self._units()
        return drawn

    def with_parameters(self, params: ArrayLike) -> Self:
        """The same model with other parameters, in the order of `names`."""
        other = type(self)(self.penalizer_coef)
        other.params_ = pd.Series(np.asarray(params, float), list(self.names))
        return other

    def to_dict(self) -> dict[str, Any]:
        """All that is learned, as plain data for JSON; no row of any customer."""
        return {
            "schema": SCHEMA,
            "model": type(self).__name__,
            "parameters": {name: float(value) for name, value in self.params_.items()},
            "log_covariance": self.log_covariance_.tolist(),
            "log_likelihood": self.log_likelihood_,
            "problem": self.problem_,
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Self:
        """The fitter that `to_dict` kept. Raises FitError for another model or schema."""
        model, schema = kept.get("model"), kept.get("schema")
        if (model, schema) != (cls.__name__, SCHEMA):
            raise FitError(
                f"not a {cls.__name__} of schema {SCHEMA} but {model} of {schema}; retrain"
            )
        fitter = cls().with_parameters([kept["parameters"][name] for name in cls.names])
        fitter.log_covariance_ = np.array(kept["log_covariance"])
        fitter.log_likelihood_ = float(kept["log_likelihood"])
        fitter.problem_ = str(kept["problem"])
        fitter._errors()
        return fitter

    def save_model(
        self,
        path: str | Path,
        save_data: bool = True,
        save_generate_data_method: bool = True,
        values_to_save: list[Any] | None = None,
    ) -> None:
        """Write to a file of JSON what `load_model` reads; with `save_data` also the rows fitted.
        `values_to_save` stand, once loaded, for what is not saved (data, generate_new_data).
        """
        left_out = ["data"] * (not save_data)
        left_out += ["generate_new_data"] * (not save_generate_data_method)
        instead = values_to_save or [None] * len(left_out)
        own = ("penalizer_coef", "_scale", "_negative_log_likelihood_")
        kept = self.to_dict() | {
            "own": {name: getattr(self, name) for name in own},
            "data": self.data.to_dict("split") if save_data else None,
            "instead": dict(zip(left_out, instead, strict=False)),
        }
        try:
            Path(path).write_text(json.dumps(kept), "utf-8")
        except TypeError as error:
            raise FitError(
                f"values_to_save, or the index of the data: {error}. Models are kept as JSON and"
                " never pickled; give numbers and texts"
            ) from None

    def load_model(self, path: str | Path) -> None:
        """Become the model that `save_model` wrote. Raises FitError for anything else: a pickle
        could run any code and is not read.
        """
        try:
            kept = json.loads(Path(path).read_text("utf-8"))
        except ValueError:
            raise FitError(
                f"{path} is no JSON that save_model wrote. Pickles (dill) are not read, since they"
                " could run any code; fit again and save"
            ) from None
        vars(self).update(vars(self.from_dict(kept)) | kept["own"] | kept["instead"])
        if kept["data"]:
            self.data = pd.DataFrame(**kept["data"])


class Timed(Fitter):
    """A model of orders in time: x, t_x and T in one unit of time."""

    columns = ("frequency", "recency", "T")
    in_unit: ClassVar[tuple[str, ...]] = ("alpha", "beta", "recency", "T")
    phases: ClassVar[int] = 1  # of the time to the next order; of several, orders are regular
    generator: Any  # of customers, by lifetimes
    predict: Any
    conditional_probability_alive: Any
    expected_number_of_purchases_up_to_time: Any
    probability_of_n_purchases_up_to_time: Any

    def fit(
        self,
        frequency: ArrayLike,
        recency: ArrayLike,
        T: ArrayLike,
        weights: ArrayLike | None = None,
        initial_params: ArrayLike | None = None,
        verbose: bool = False,
        tol: float = PRECISION,
        index: Any = None,
        **options: Any,
    ) -> Self:
        """Maximum likelihood; `weights` counts customers who share a row."""
        rows = check_histories(frequency, recency, T)
        return self._fit_to(rows, weights, initial_params, verbose, tol, index, options)

    def generate_new_data(self, size: int = 1) -> pd.DataFrame:
        """Customers drawn from the model, of the ages that were fitted."""
        return self.generator(self.data["T"].to_numpy(), *self._params(), size=size)

    def _unit(self, rows: tuple[Floats, ...]) -> tuple[float, Floats]:
        unit = rows[2].max() / TENTHS or 1.0
        return unit, -self.phases * rows[0] * np.log(unit)

    def _theirs(self) -> tuple[Floats, float]:
        orders = self._coded[0].all() @ self._counts / self._counts.sum()
        factors = np.where(np.isin(self.names, self.in_unit), 1 / TENTHS, 1.0)
        return factors, -float(orders * np.log(TENTHS))


def _inverse(hessian: Floats) -> Floats:
    """The inverse, with directions in which the likelihood hardly bends or bends the wrong way held
    to a modest step.
    """
    values, vectors = np.linalg.eigh(hessian)
    inverse = (vectors / np.maximum(np.abs(values), 1e-4)) @ vectors.T
    return np.asarray((inverse + inverse.T) / 2)
