"""Report the progress of a fit to scikit-learn's callbacks or as printed lines."""


class Progress:
    """Report the steps of one fit.

    Callbacks (scikit-learn 1.9 and later) of encoders also receive the training data as
    ``y``, the target of the reconstruction.

    Parameters
    ----------
    estimator : estimator
        Estimator that is being fitted.
    X : array or sparse matrix
        Training data.
    max_iter : int
        Largest number of steps.
    finish : callable, default=None
        Function of the attributes at a step that returns them as they are after a fit;
        None for those that are.
    y : array, default=None
        Targets; None is the training data.
    names : tuple of two str, default=("step", "objective")
        What a step is called, and the number that it is reported with.
    """

    def __init__(
        self,
        estimator,
        X,
        max_iter,
        finish=None,
        y=None,
        names=("step", "objective"),
    ):
        self.estimator, self.X, self.max_iter = estimator, X, max_iter
        self.y, self.names = X if y is None else y, names
        self.finish = finish or (lambda attributes: attributes)
        self.context = None
        if hasattr(estimator, "_init_callback_context"):
            self.context = estimator._init_callback_context(max_subtasks=max_iter)
            self.context.call_on_fit_task_begin(estimator=estimator, X=X, y=self.y)

    def step(self, n_iter, objective, attributes=None):
        """Report one step; return whether a callback requests to stop.

        Parameters
        ----------
        n_iter : int
            Number of the step, starting at 1.
        objective : float
            Mean objective per row, or what ``names`` says.
        attributes : callable, () -> dict, default=None
            Returns the fitted attributes as if the fit ended with this step; None if
            it cannot end there.

        Returns
        -------
        stop : bool
            Whether to stop.
        """
        if self.estimator.verbose:
            name, (step, value) = type(self.estimator).__name__, self.names
            print(f"[{name}] {step} {n_iter}/{self.max_iter}, {value} {objective:.6g}")
        if self.context is None:
            return False
        step = self.context.subcontext(task_name=self.names[0])
        data = {"estimator": self.estimator, "X": self.X, "y": self.y}
        step.call_on_fit_task_begin(**data)
        finished = attributes and (lambda: self.finish(attributes()))
        return step.call_on_fit_task_end(**data, reconstruction_attributes=finished)

    def end(self, attributes):
        """Report the end of the fit.

        Parameters
        ----------
        attributes : callable, () -> dict
            Returns the fitted attributes.
        """
        if self.context is not None:
            self.context.call_on_fit_task_end(
                estimator=self.estimator,
                X=self.X,
                y=self.y,
                reconstruction_attributes=attributes,
            )
