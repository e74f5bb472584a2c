"""Report the progress of a fit to scikit-learn's callbacks or as printed lines."""


class Progress:
    """Report the steps of one fit.

    Callbacks (scikit-learn 1.9 and later) also receive the training data as ``y``, the
    target of the reconstruction.

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
    """

    def __init__(self, estimator, X, max_iter, finish=None):
        self.estimator, self.X, self.max_iter = estimator, X, max_iter
        self.finish = finish or (lambda attributes: attributes)
        self.context = None
        if hasattr(estimator, "_init_callback_context"):
            self.context = estimator._init_callback_context(max_subtasks=max_iter)
            self.context.call_on_fit_task_begin(estimator=estimator, X=X, y=X)

    def step(self, n_iter, objective, attributes):
        """Report one step; return whether a callback requests to stop.

        Parameters
        ----------
        n_iter : int
            Number of the step, starting at 1.
        objective : float
            Mean objective per row.
        attributes : callable, () -> dict
            Returns the fitted attributes as if the fit ended with this step.

        Returns
        -------
        stop : bool
            Whether to stop.
        """
        if self.estimator.verbose:
            name = type(self.estimator).__name__
            print(f"[{name}] step {n_iter}/{self.max_iter}, objective {objective:.6g}")
        if self.context is None:
            return False
        step = self.context.subcontext(task_name="step")
        data = {"estimator": self.estimator, "X": self.X, "y": self.X}
        step.call_on_fit_task_begin(**data)
        return step.call_on_fit_task_end(
            **data, reconstruction_attributes=lambda: self.finish(attributes())
        )

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
                y=self.X,
                reconstruction_attributes=attributes,
            )
