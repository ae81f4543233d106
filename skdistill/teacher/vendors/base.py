"""What the rest of the house may ask about a model, whoever its vendor is."""

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skdistill.columns import as_documented_table

#: What to do with text where a vendor takes none.
ENCODER_CURE = (
    "Put an encoder such as OneHotEncoder(handle_unknown='ignore') in front of it, in a Pipeline."
)

CATEGORICAL_CURE = (
    "Make them categorical, X[column] = X[column].astype('category'), or Categorical in polars"
)


class Vendor:
    """All that is particular to the models of one vendor, or to one kind of them.

    What a vendor does not override says that nothing is known, or that it does not apply. `model`
    is always the last step of pipelines, see `last_step`, and fitted unless said otherwise.

    Attributes
    ----------
    package : str
        Name of the package that its classes, and those that users derive from them, come from.
    title : str
        What messages call it.
    raw_score_options : dict or None
        Arguments with which ``predict`` returns scores before the link.
    needs_codes : bool
        Whether its classifiers take no other classes than 0, 1, 2, ...
    needs_documented_table : bool
        Whether it may end the process on tables that it does not document.
    has_tree_shap : bool
        Whether shap may explain its trees.
    has_bags : bool
        Whether it averages members that were each fitted on a bag of the rows.
    text_cure, clone_cure : str
        What to do where it takes no text, and where scikit-learn cannot clone it.
    made_up_names : str
        What it calls columns that have no names, as a format of their position.
    onnx_operator : str
        What onnxmltools calls it.
    """

    package = ""
    title = ""
    raw_score_options = None
    needs_codes = False
    needs_documented_table = False
    has_tree_shap = True
    has_bags = False
    text_cure = ENCODER_CURE
    clone_cure = ""
    made_up_names = ""
    onnx_operator = ""

    def owns(self, kind):
        """Tell whether models of a class are of this vendor."""
        return any(each.__module__.partition(".")[0] == self.package for each in kind.__mro__)

    # What it is.

    def is_ensemble(self, model):
        """Tell whether a model, fitted or not, consists of many trees or other models."""
        return False

    def is_fitted(self, model):
        """Tell whether a model is fitted."""
        try:
            check_is_fitted(model)
        except NotFittedError:
            return False
        return True

    def unfitted(self, model):
        """Return an unfitted clone."""
        return clone(model)

    def n_columns(self, model):
        """Return on how many columns a model was fitted, None if it does not know."""
        return getattr(model, "n_features_in_", None) or None  # a copy of CatBoost within says 0

    def names(self, model):
        """Return the names of the columns that a model was fitted on, None if it has none."""
        return getattr(model, "feature_names_in_", None)

    def size_in_words(self, model):
        """Say of how many parts a model is made, "" if that is not known."""
        return ""

    def class_prior(self, model):
        """Return the shares of the classes that a classifier was grown on, None if not known."""
        return None

    # Its trees.

    def may_have_leaves(self, model):
        """Tell by its class, fitted or not, whether a model may have leaves."""
        return False

    def leaves(self, model, X):
        """Return the leaf of every row in every tree, (n_samples, n_trees); None without leaves."""
        return None

    def tree_nodes(self, model):
        """Return the `TreeNodes` of a model; None if it is not made of trees.

        A TypeError is raised if it is, but these cannot be read.
        """
        return None

    def leaf_counts(self, model, X, codes):
        """Return the `LeafCounts` of rows in a model's own trees; None if it has none of its own.

        `codes` are the positions of the classes of the rows.
        """
        return None

    def is_filled_by(self, model, X):
        """Prove that a model was fitted on these rows: they fill it with the numbers it remembers.

        The rows of a model with bags have to be in the order of the fit. False is no refutation.
        """
        return False

    def grows_on_bins(self, model):
        """Tell whether trees split between the bins of a whole column, not of a node."""
        return False

    def some_trees(self, model, most):
        """Return a copy of a model with at most this many of the trees that it averages."""
        return model

    # How they grow.

    def grows(self, model):
        """Tell whether the trees of a model, fitted or not, are fitted one after the other."""
        return False

    def why_not_on_other_rows(self, model):
        """Say why a model that grows cannot do so on rows that it has not begun with, or ""."""
        return ""

    def size_name(self, model):
        """Return the name of the parameter that says how many trees, or rounds, there will be."""
        return "n_estimators"

    def n_trees(self, model):
        """Count the trees that answer; iterations, if each adds several."""
        return 1

    def first_trees(self, model, n_trees):
        """Return a copy that has only its first trees."""
        return model

    def more_trees(self, model, n_trees, X, y, sample_weight):
        """Return a copy with more trees, which are fitted on some rows."""
        raise NotImplementedError

    # Who chooses how many.

    def rounds_chosen(self, model):
        """Return how many rounds early stopping chose, None if it chose none."""
        return None

    def stopping(self, model):
        """Return the parameters that have a model, fitted or not, stop early, by name."""
        return {}

    def fits_without_held_out_rows(self, stopping):
        """Tell whether a model can be fitted, with all rounds, while it has these parameters."""
        return False

    def set_rounds(self, clone, fitted):
        """Give an unfitted clone, in place, the rounds that the fitted model chose."""

    # Its members.

    def may_leave_rows_out(self, model):
        """Tell whether members of a model, fitted or not, leave rows out of their bags."""
        return False

    def members(self, model):
        """Yield every member, its columns (None for all), and the rows in its bag."""
        return iter(())

    def grown(self, model):
        """Yield what was fitted in every member, its columns, and the very rows of its fit."""
        return self.members(model)

    def member_input(self, model, X):
        """Return rows as the members of a model see them, before they choose columns."""
        return X

    def answer_of_member(self, model, member, columns, matrix):
        """Ask a member: probabilities in the columns of its ensemble, or values.

        `member` and `columns` are as `members` yields them, `matrix` as `member_input` returns it.
        """
        raise NotImplementedError

    def share_of_members(self, model):
        """Return the share of the rows that each member was grown on, None if not known."""
        return 1.0


class Booster(Vendor):
    """A library of gradient boosting, which adds rounds of trees.

    Attributes
    ----------
    round_names : tuple of str
        What it calls the number of rounds; aliases first, as they win over the name in front.
    stop_names : tuple of str
        Parameters that have it stop early.
    """

    round_names = ("n_estimators",)
    stop_names = ()

    def is_ensemble(self, model):
        return True

    def may_have_leaves(self, model):
        return getattr(model, "booster", None) != "gblinear"

    def grows_on_bins(self, model):
        return True

    def grows(self, model):
        return self.may_have_leaves(model)

    def size_name(self, model):
        names, params = self.round_names, model.get_params()
        return next((name for name in names if params.get(name) is not None), names[-1])

    def n_trees(self, model):
        chosen = self.rounds_chosen(model)
        return self.n_rounds(model) if chosen is None else chosen

    def n_rounds(self, model):
        """Count all rounds, also those behind the best one."""
        raise NotImplementedError

    def more_trees(self, model, n_trees, X, y, sample_weight):
        begun = self.first_trees(model, self.n_trees(model))
        more = self.unfitted(model)
        self.set_rounds(more, model)
        more.set_params(**{self.size_name(more): n_trees})
        X = as_documented_table(X) if self.needs_documented_table else X
        return more.fit(X, y, sample_weight=sample_weight, **self.begin_with(begun))

    def begin_with(self, model):
        """Return the arguments of ``fit`` that have it go on from a fitted model."""
        raise NotImplementedError

    def stopping(self, model):
        """Return the parameters that have a model stop early, and callbacks that do so."""
        params = model.get_params()
        found = {name: params[name] for name in self.stop_names if params.get(name)}
        callbacks = [each for each in params.get("callbacks") or () if _stops_early(each)]
        return {**found, "callbacks": callbacks} if callbacks else found

    def set_rounds(self, clone, fitted):
        """Give an unfitted clone the rounds that the fitted model chose, and no early stopping."""
        off = {name: False if name == "use_best_model" else None for name in self.stopping(clone)}
        if off.pop("callbacks", False) is None:
            callbacks = clone.get_params()["callbacks"]
            off["callbacks"] = [each for each in callbacks if not _stops_early(each)]
        clone.set_params(**off)
        chosen = self.rounds_chosen(fitted)
        if chosen is not None:
            clone.set_params(**{self.size_name(clone): chosen})


def _stops_early(callback):
    return any(each.__name__ == "EarlyStopping" for each in type(callback).__mro__)
