r"""Simulated card transactions, for the examples on fraud.

    python examples/transactions.py
    python examples/fraud_workflow.py --data transactions.parquet --time Time --amount amount \
        --period 86400

Writes them to a parquet file, in time order, with the seconds in ``Time`` and fraud in ``target``.
The examples on fraud draw the same ones by themselves. The simulation follows the description in
Le Borgne, Siblini, Lebichot and Bontempi, "Reproducible Machine Learning for Credit Card Fraud
Detection - Practical Handbook", 2022.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from command_line import check_file_to_write, make_parser, positive

DAY = 86_400  # seconds
LABEL_DELAY = 7  # days until it is known whether a transaction was fraud
WINDOWS = (1, 7, 30)  # days
WARM_UP = LABEL_DELAY + max(WINDOWS)  # days without complete features
KEPT_DAYS = 70
N_DAYS = WARM_UP + KEPT_DAYS
N_TERMINALS = 1_600
RADIUS = 10.0  # how far customers go, on a map of 100 x 100


def simulate(seed, n_customers=800, amounts=(5, 100), per_day=(0, 4)):
    """Simulate card transactions with about 1 % fraud, in time order.

    Parameters
    ----------
    seed : int
        Decides everything that is drawn.
    n_customers : int, default=800
        Number of customers.
    amounts, per_day : tuple of (float, float), default=(5, 100) and (0, 4)
        Lowest and highest mean amount, and number of payments a day, of a customer.

    Returns
    -------
    X : data frame of shape (n_samples, 15)
        What is known about each transaction when it happens.
    fraud : ndarray of shape (n_samples,)
        Whether it was fraud, which is known `LABEL_DELAY` days later.
    transactions : data frame of shape (n_samples, 6)
        The day, counted from 0, the second, customer, terminal, amount and fraud.
    """
    rng = np.random.default_rng(seed)
    transactions = draw_transactions(rng, n_customers, amounts, per_day)
    add_fraud(transactions, n_customers, rng)
    kept = transactions["day"] >= WARM_UP
    X = make_features(transactions)[kept].reset_index(drop=True)
    transactions = transactions[kept].reset_index(drop=True)
    transactions["day"] -= WARM_UP
    return X, transactions["fraud"].to_numpy(), transactions


def draw_transactions(rng, n_customers, amounts, per_day):
    """Draw honest transactions: every customer has habits, and terminals within reach."""
    habits = {
        "amount": rng.uniform(*amounts, n_customers),
        "per_day": rng.uniform(*per_day, n_customers),
    }
    n_per_day = rng.poisson(habits["per_day"][:, None], (n_customers, N_DAYS))
    customer = np.repeat(np.arange(n_customers), n_per_day.sum(axis=1))
    day = np.repeat(np.tile(np.arange(N_DAYS), n_customers), n_per_day.ravel())
    second = rng.normal(DAY / 2, 20_000, len(day)).astype(int)
    mean = habits["amount"][customer]
    amount = rng.normal(mean, mean / 2)
    amount = np.where(amount < 0, rng.uniform(0, 2 * mean), amount).round(2)
    transactions = pd.DataFrame(
        {
            "day": day,
            "time": day * DAY + second,
            "customer": customer,
            "terminal": draw_terminals(customer, n_customers, rng),
            "amount": amount,
        }
    )
    today = (second >= 0) & (second < DAY)
    return transactions[today].sort_values("time", ignore_index=True)


def draw_terminals(customer, n_customers, rng):
    """Draw a terminal within the reach of the customer for every transaction."""
    homes, places = rng.uniform(0, 100, (n_customers, 2)), rng.uniform(0, 100, (N_TERMINALS, 2))
    distance = np.linalg.norm(homes[:, None] - places, axis=2)
    in_reach = distance < np.maximum(RADIUS, distance.min(axis=1, keepdims=True) + 1e-9)
    owner, terminals = np.nonzero(in_reach)
    n_in_reach = in_reach.sum(axis=1)
    first = np.searchsorted(owner, customer)
    return terminals[first + rng.integers(n_in_reach[customer])]


def add_fraud(transactions, n_customers, rng):
    """Mark fraud by amount, at compromised terminals, and with leaked credentials."""
    day, amount = transactions["day"].to_numpy(), transactions["amount"].to_numpy()
    by_amount = amount > 220
    at_terminal = draw_spells(rng, N_TERMINALS, per_day=0.4, n_days=28)
    leaked = draw_spells(rng, n_customers, per_day=0.6, n_days=14)
    stolen = leaked[transactions["customer"], day] & (rng.random(len(day)) < 1 / 3)
    transactions["amount"] = np.where(stolen, 5 * amount, amount).round(2)
    transactions["fraud"] = by_amount | at_terminal[transactions["terminal"], day] | stolen


def draw_spells(rng, n_victims, per_day, n_days):
    """Draw a few victims each day; say who is one on which day, for `n_days` days each."""
    is_victim = np.zeros((n_victims, N_DAYS), dtype=bool)
    for day, n_new in enumerate(rng.poisson(per_day, N_DAYS)):
        is_victim[rng.choice(n_victims, n_new, replace=False), day : day + n_days] = True
    return is_victim


def make_features(transactions):
    """Compute what is known about a transaction when it happens."""
    day, second = transactions["day"], transactions["time"] % DAY
    amount, fraud = transactions["amount"].to_numpy(), transactions["fraud"].to_numpy()
    features = {"amount": amount, "is_weekend": day % 7 >= 5, "is_night": second <= 6 * 3600}
    for days in WINDOWS:
        own = RollingSums(transactions, "customer", days)
        features[f"customer_n_{days}d"] = own.count
        features[f"customer_mean_amount_{days}d"] = own.mean(amount)
        at_terminal = RollingSums(transactions, "terminal", days, delay=LABEL_DELAY)
        features[f"terminal_n_{days}d"] = at_terminal.count
        features[f"terminal_risk_{days}d"] = at_terminal.mean(fraud)
    return pd.DataFrame(features).astype(np.float64)


class RollingSums:
    """Sums over the owner's transactions in the `days` days that end `delay` days ago."""

    def __init__(self, transactions, owner, days, delay=0):
        # One number line on which the days of an owner lie far from those of the next.
        place = (
            transactions[owner].to_numpy() * (2 * N_DAYS * DAY) + transactions["time"].to_numpy()
        )
        self.order = np.argsort(place, kind="stable")
        places = place[self.order]
        self.first = np.searchsorted(places, place - (delay + days) * DAY, side="right")
        self.end = np.searchsorted(places, place - delay * DAY, side="right")
        self.count = self.end - self.first

    def mean(self, values):
        """Return the mean in the window of every transaction, 0 where there is none."""
        running = np.concatenate([[0.0], np.cumsum(values[self.order])])
        return (running[self.end] - running[self.first]) / np.maximum(self.count, 1)


def main():
    """Write transactions to a file."""
    parser = make_parser(__doc__, table=False)
    parser.add_argument("--customers", type=positive, default=800, help="number of customers")
    parser.add_argument(
        "--out", type=Path, default=Path("transactions.parquet"), help="file to write"
    )
    args = parser.parse_args()
    check_file_to_write(args.out, "--out")
    X, fraud, transactions = simulate(args.seed, args.customers)
    seconds = transactions["time"] - DAY * WARM_UP
    X.assign(Time=seconds, target=fraud.astype(int)).to_parquet(args.out, index=False)
    print(f"Written to {args.out}: {len(X):,} rows, {KEPT_DAYS} days, {fraud.mean():.2%} fraud")


if __name__ == "__main__":
    main()
