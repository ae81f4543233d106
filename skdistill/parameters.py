"""Parameters checked as scikit-learn checks them, with errors that take one line."""

import inspect
from functools import wraps

from sklearn import config_context

from skdistill.messages import shown
from skdistill.sklearn_private import (
    HasMethods,
    Interval,
    InvalidParameterError,
    RealNotInt,
    StrOptions,
    validate_parameter_constraints,
)

__all__ = [
    "HasMethods",
    "Interval",
    "ParametersMixin",
    "RealNotInt",
    "StrOptions",
    "check_parameters",
    "validate_params",
]


class ParametersMixin:
    """Lets an estimator check its parameters by `check_parameters`."""

    def _validate_params(self):
        check_parameters(
            self._parameter_constraints, self.get_params(deep=False), type(self).__name__
        )


def check_parameters(constraints, params, owner):
    """Check parameters against scikit-learn's constraints.

    Parameters
    ----------
    constraints : dict
        As ``_parameter_constraints`` of an estimator.
    params : dict
        Values by name; those without a constraint are not checked.
    owner : str
        The estimator or function, for messages.

    Raises
    ------
    InvalidParameterError
        A ValueError and TypeError, as in scikit-learn: if a value is not allowed, or is a class
        where an instance is. The message describes what was passed.
    """
    for name, value in params.items():
        if constraints.get(name, "no_validation") == "no_validation":
            continue
        if isinstance(value, type):  # it has all methods of its instances
            raise InvalidParameterError(
                f"The {name!r} parameter of {owner} must be an instance. Got {shown(value)} "
                f"instead: pass {value.__name__}(), with what it needs."
            )
        try:
            validate_parameter_constraints({name: constraints[name]}, {name: value}, owner)
        except InvalidParameterError as error:
            expected = str(error).partition(" Got ")[0]
            raise InvalidParameterError(f"{expected} Got {shown(value)} instead.") from None


def validate_params(constraints):
    """Let a function check its parameters first, see `check_parameters`."""

    def decorate(function):
        signature = inspect.signature(function)
        owner = function.__qualname__.removesuffix(".__init__")

        @wraps(function)
        def checked(*args, **kwargs):
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            check_parameters(constraints, bound.arguments, owner)
            with config_context(skip_parameter_validation=True):  # of what it calls: it is checked
                return function(*args, **kwargs)

        return checked

    return decorate
