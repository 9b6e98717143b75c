"""A logit that is linear in a clip's features, fitted to its one optimum, and put into a `FlowClassifier`."""

from dataclasses import dataclass

import numpy as np

__all__ = ["LinearHead", "fit_linear_head", "fit_linear_heads", "set_linear_head"]

_NEWTON_STEPS = 50
_CONVERGED = 1e-8


@dataclass(frozen=True)
class LinearHead:
    """A logit `features @ weights + bias`.

    Attributes:
        weights: float64 `[D]`, in units of the features as they are.
        bias: of the logit.
    """

    weights: np.ndarray
    bias: float

    def __call__(self, features):
        """Return logits float64 `[...]` of features `[..., D]`."""
        return np.asarray(features, np.float64) @ self.weights + self.bias


def fit_linear_head(features, labels, penalty, importance=None, offsets=0.0):
    """Fit logistic regression with an L2 penalty by Newton's method.

    Features are brought to zero mean and unit variance first, so that the penalty means the same for all.
    Both classes count alike, however many examples each has.

    Args:
        features: float `[N, D]`.
        labels: `[N]`, 1 fake, 0 real; both are there.
        penalty: of half the squared norm of the weights, in units of the mean loss of an example and for each
            feature: of twice as many features, each may weigh half as much.
        importance: `[N]`, how much an example counts within its class; None: all alike.
        offsets: float `[N, D]`, what is taken from the features once they have given the variance.

    Returns:
        a `LinearHead`.

    Raises:
        ValueError: unless both classes are there.
    """
    return fit_linear_heads(features, labels, (penalty,), importance, offsets)[0]


def fit_linear_heads(features, labels, penalties, importance=None, offsets=0.0):
    """Fit a head for each penalty: list of `LinearHead`. All else as `fit_linear_head`.

    Each starts from the one before, so penalties that fall or rise step by step take least time.
    """
    x, y = np.asarray(features, np.float64), np.asarray(labels, np.float64)
    counts = np.ones(len(y)) if importance is None else np.asarray(importance, np.float64)
    of_class = [counts[y == label].sum() for label in (0, 1)]
    if not all(of_class):
        raise ValueError("a head needs at least one real and one fake example")
    share = counts * np.where(y == 1, 0.5 / of_class[1], 0.5 / of_class[0])
    mean = share @ x
    deviation = np.sqrt(share @ (x - mean) ** 2)
    # A feature that never fires in training says nothing; a tiny divisor would make it shout in use.
    deviation = np.where(deviation > 1e-6 * max(deviation.max(), 1e-12), deviation, np.inf)
    x = x - offsets
    mean = share @ x
    # The weights are a sum of examples, whatever the penalty, so it is enough to look among those.
    coordinates, basis = _span((x - mean) / deviation)
    scaled = np.concatenate([coordinates, np.ones((len(x), 1))], axis=1)
    heads, solution = [], np.zeros(scaled.shape[1])
    for penalty in penalties:
        solution = _minimum(scaled, y, share, float(penalty) * x.shape[1], solution)
        weights = (basis @ solution[:-1]) / deviation
        heads.append(LinearHead(weights, float(solution[-1] - mean @ weights)))
    return heads


def _minimum(scaled, y, share, ridge, start):
    """Return the weights `[r + 1]` of least loss for examples `[N, r + 1]`; their last, the bias, is free."""
    ridges = np.full(scaled.shape[1], ridge)
    ridges[-1] = 0.0
    solution = start.copy()
    for _ in range(_NEWTON_STEPS):
        probability = 0.5 * (1 + np.tanh(0.5 * scaled @ solution))
        gradient = scaled.T @ (share * (probability - y)) + ridges * solution
        curvature = np.maximum(share * probability * (1 - probability), 1e-12)
        step = np.linalg.solve((scaled.T * curvature) @ scaled + np.diag(ridges), gradient)
        # A Newton step is bounded so that separable examples cannot throw it far off.
        solution -= step * min(1.0, 10.0 / max(np.abs(scaled @ step).max(), 1e-12))
        if np.abs(step).max() < _CONVERGED:
            break
    return solution


def set_linear_head(classifier, head):
    """Make a classifier without hidden layers give a head's logit of its last feature map.

    Args:
        classifier: a `FlowClassifier` with `head_units` `()`.
        head: a `LinearHead` over the flattened map.

    Raises:
        ValueError: if it has hidden layers or a map of another size.
    """
    kernel = classifier.logit.kernel
    if classifier.hidden or tuple(kernel.shape) != (len(head.weights), 1):
        raise ValueError(
            f"a head of {len(head.weights)} weights does not fit a classifier with {len(classifier.hidden)} "
            f"hidden layers and {kernel.shape[0]} features"
        )
    kernel.assign(head.weights[:, None].astype(np.float32))
    classifier.logit.bias.assign(np.float32([head.bias]))


def _span(x):
    """Return (coordinates `[N, r]`, orthonormal basis `[D, r]`) of the rows of x `[N, D]`."""
    if x.shape[1] <= len(x):
        return x, np.eye(x.shape[1])
    values, vectors = np.linalg.eigh(x @ x.T)
    kept = values > 1e-10 * values[-1]
    lengths = np.sqrt(values[kept])
    coordinates = vectors[:, kept] * lengths
    return coordinates, x.T @ (vectors[:, kept] / lengths)
