"""A small linear regression that learns as it goes and forgets: exponentially weighted least squares with a ridge.

The sums are kept and decayed with every observation (a few microseconds), the weights are solved for now and then. The
ridge is a share of each feature's own power, so the scale of a feature does not matter, and nothing grows without bound
when a feature stands still, as it would in recursive least squares. Knows nothing of what it predicts.
"""

from __future__ import annotations

from collections.abc import Sequence

RIDGE = 0.01


class Ridge:
    """Predicts a number from ``size`` features. ``memory``: observations count half as much after about 0.7 of these."""

    def __init__(self, size: int, *, memory: int, solve_every: int = 50) -> None:
        self.seen = 0
        self._keep = 1.0 - 1.0 / memory
        self._every = solve_every
        self._gram = [[0.0] * size for _ in range(size)]
        self._moment = [0.0] * size
        self._weights = [0.0] * size

    def predict(self, features: Sequence[float]) -> float:
        """The prediction; 0 until something was learnt."""
        return sum([weight * value for weight, value in zip(self._weights, features, strict=True)])

    def learn(self, features: Sequence[float], value: float) -> None:
        """Take in one observation."""
        keep, moment = self._keep, self._moment
        for i, one in enumerate(features):
            row = self._gram[i]
            # Only the lower triangle; the matrix is symmetric
            for j in range(i + 1):
                row[j] = row[j] * keep + one * features[j]
            moment[i] = moment[i] * keep + one * value
        self.seen += 1
        if self.seen % self._every == 0:
            self._weights = self._solved()

    def _solved(self) -> list[float]:
        """The weights: Cholesky's method; the ridge makes the matrix positive definite."""
        size = len(self._moment)
        lower = [[0.0] * size for _ in range(size)]
        for i in range(size):
            for j in range(i + 1):
                rest = self._gram[i][j] - sum([lower[i][k] * lower[j][k] for k in range(j)])
                if i == j:
                    # A feature that was always 0 has no power, and its weight stays 0
                    lower[i][i] = max(rest + RIDGE * self._gram[i][i], 1e-12) ** 0.5
                else:
                    lower[i][j] = rest / lower[j][j]
        half = [0.0] * size
        for i in range(size):
            half[i] = (self._moment[i] - sum([lower[i][k] * half[k] for k in range(i)])) / lower[i][i]
        weights = [0.0] * size
        for i in reversed(range(size)):
            weights[i] = (half[i] - sum([lower[k][i] * weights[k] for k in range(i + 1, size)])) / lower[i][i]
        return weights
