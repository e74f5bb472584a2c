"""Graphs of array operations, written as the formulas that they compute."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from sklearn_sqrtlasso.onnx.compat import TensorProto, helper, numpy_helper

ELEMENT_TYPES = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float64): TensorProto.DOUBLE,
}


@dataclass
class Graph:
    """Nodes and constants in the order of evaluation.

    Attributes
    ----------
    unique : callable, (name) -> str
        Returns a name that the model does not have yet.
    nodes : list of tuple
        Kind, names of inputs, names of outputs and attributes of each node.
    constants : list of TensorProto
        Arrays.
    """

    unique: Callable[[str], str]
    nodes: list[tuple] = field(default_factory=list)
    constants: list = field(default_factory=list)

    def constant(self, values, dtype):
        """Return an array as a tensor.

        Parameters
        ----------
        values : array-like
            Values.
        dtype : dtype
            Their type in the graph.

        Returns
        -------
        tensor : Tensor
            The constant.
        """
        name = self.unique("constant")
        array = np.ascontiguousarray(np.asarray(values, dtype=dtype))
        array = array.reshape(np.shape(values))  # which made 0-d arrays 1-d
        self.constants.append(numpy_helper.from_array(array, name))
        return Tensor(self, name, array.dtype)

    def call(self, kind, inputs, dtypes, attributes=None, names=None):
        """Add a node and return its outputs.

        Parameters
        ----------
        kind : str
            Name of the operator.
        inputs : sequence of Tensor
            Its inputs.
        dtypes : sequence of dtype
            Types of its outputs.
        attributes : dict, default=None
            Attributes of the operator.
        names : list of str, default=None
            Names of its outputs; None makes new ones.

        Returns
        -------
        outputs : list of Tensor
            Its outputs.
        """
        names = names or [self.unique(kind) for _ in dtypes]
        given = [tensor.name for tensor in inputs]
        self.nodes.append((kind, given, names, attributes or {}))
        pairs = zip(names, dtypes, strict=True)
        return [Tensor(self, name, np.dtype(dtype)) for name, dtype in pairs]

    def loop(self, step, start, most):
        """Repeat a step until it says that it is done.

        Parameters
        ----------
        step : callable, (tensors) -> (tensors, go_on)
            Returns the next tensors in a graph of its own, and a tensor that says
            whether to take another step.
        start : sequence of Tensor of two axes
            First tensors.
        most : int
            Largest number of steps.

        Returns
        -------
        tensors : list of Tensor
            Last tensors.
        """
        body, dtypes = Graph(self.unique), [of.dtype for of in start]
        given = [Tensor(body, self.unique("state"), of.dtype) for of in start]
        found, go_on = step(*given)
        found = [of.copy() for of in found]  # an output has a name of its own
        inputs = [_value(self.unique("count"), TensorProto.INT64, [])]
        inputs += [_value(self.unique("go_on"), TensorProto.BOOL, [])]
        inputs += [of.declared() for of in given]
        outputs = [_value(go_on.name, TensorProto.BOOL, [])]
        outputs += [of.declared() for of in found]
        nodes = [
            helper.make_node(kind, names, results, **attributes)
            for kind, names, results, attributes in body.nodes
        ]
        steps = helper.make_graph(nodes, "body", inputs, outputs, body.constants)
        limits = [self.constant(most, np.int64), self.constant(True, np.bool_)]
        return self.call("Loop", [*limits, *start], dtypes, {"body": steps})


def _value(name, element_type, shape):
    return helper.make_tensor_value_info(name, element_type, shape)


@dataclass(frozen=True)
class Tensor:
    """An array of a graph, with the arithmetic of numpy.

    Numbers and arrays on the other side of an operator become constants of its dtype.

    Attributes
    ----------
    graph : Graph
        Where it is computed.
    name : str
        Its name there.
    dtype : dtype
        Type of its entries.
    """

    graph: Graph
    name: str
    dtype: np.dtype

    def constant(self, values):
        """Return an array of the same graph and dtype."""
        return self.graph.constant(values, self.dtype)

    def _tensor(self, other):
        return other if isinstance(other, Tensor) else self.constant(other)

    def _call(self, kind, *others, dtype=None, attributes=None) -> "Tensor":
        dtypes = [dtype or self.dtype]
        return self.graph.call(kind, [self, *others], dtypes, attributes)[0]

    def _with(self, kind, other, dtype=None):
        return self._call(kind, self._tensor(other), dtype=dtype)

    def _over_entries(self, kind, attributes=None):
        axis = self.graph.constant([1], np.int64)
        return self._call(kind, axis, attributes=attributes)

    def __add__(self, other):
        return self._with("Add", other)

    def __sub__(self, other):
        return self._with("Sub", other)

    def __mul__(self, other):
        return self._with("Mul", other)

    def __truediv__(self, other):
        return self._with("Div", other)

    def __matmul__(self, other):
        return self._with("MatMul", other)

    def __gt__(self, other):
        return self._with("Greater", other, dtype=np.bool_)

    def __ge__(self, other):
        return self._with("GreaterOrEqual", other, dtype=np.bool_)

    def __and__(self, other):
        return self._with("And", other)

    def __neg__(self):
        return self._call("Neg")

    def __abs__(self):
        return self._call("Abs")

    def apply(self, kind):
        """Return an elementwise function, by the name of its operator."""
        return self._call(kind)

    def at_most(self, other):
        """Return the smaller of two entries."""
        return self._with("Min", other)

    def at_least(self, other):
        """Return the larger of two entries."""
        return self._with("Max", other)

    def choose(self, yes, no):
        """Return entries of ``yes`` where this is true, of ``no`` elsewhere."""
        return self._call("Where", yes, yes._tensor(no), dtype=yes.dtype)

    def astype(self, dtype, name=None):
        """Return the entries in another type, under a given or a new name."""
        to = {"to": ELEMENT_TYPES[np.dtype(dtype)]}
        return self.graph.call("Cast", [self], [dtype], to, name and [name])[0]

    def reshape(self, shape):
        """Return the entries in another shape."""
        return self._call("Reshape", self.graph.constant(shape, np.int64))

    def sum_of_rows(self):
        """Return the sum of each row, of shape (n, 1)."""
        return self._over_entries("ReduceSum")

    def least_of_rows(self):
        """Return the smallest entry of each row, of shape (n, 1)."""
        return self._over_entries("ReduceMin")

    def largest_of_rows(self):
        """Return the largest entry of each row, of shape (n, 1)."""
        return self._over_entries("ReduceMax")

    def largest_of_all(self):
        """Return the largest entry, of shape ()."""
        return self._call("ReduceMax", attributes={"keepdims": 0})

    def with_last_axis(self):
        """Return the entries with a further axis of length one."""
        return self._call("Unsqueeze", self.graph.constant([-1], np.int64))

    def sum_of_last_axis(self):
        """Return sums over the last axis, which is left out."""
        axis = self.graph.constant([-1], np.int64)
        return self._call("ReduceSum", axis, attributes={"keepdims": 0})

    def declared(self):
        """Return the type of the entries, as the body of a loop declares it."""
        return _value(self.name, ELEMENT_TYPES[self.dtype], [None, None])

    def copy(self):
        """Return the same entries under another name."""
        return self._call("Identity")

    def norm_of_rows(self):
        """Return the Euclidean norm of each row, of shape (n, 1), without overflow."""
        size = abs(self).largest_of_rows()
        unit = (size > 0).choose(size, 1)
        ratio = self / unit
        return (ratio * ratio).sum_of_rows().apply("Sqrt") * size

    def running_sum(self):
        """Return the sums of the entries of each row up to each."""
        return self._call("CumSum", self.graph.constant(1, np.int64))

    def sum_of_rest(self):
        """Return the sums of the entries of each row after each."""
        way = {"exclusive": 1, "reverse": 1}
        return self._call("CumSum", self.graph.constant(1, np.int64), attributes=way)

    def largest(self, k):
        """Return the k largest entries of each row, in falling order, and places."""
        inputs = [self, self.graph.constant([k], np.int64)]
        return self.graph.call("TopK", inputs, [self.dtype, np.int64], {"axis": 1})

    def take(self, places):
        """Return entries of each row, or of a constant of one axis, at places."""
        return self._call("GatherElements", places, attributes={"axis": 1})

    def put(self, places, values):
        """Return the rows with other values at places."""
        return self._call("ScatterElements", places, values, attributes={"axis": 1})

    def look_up(self, places):
        """Return the entries of an array of one axis at places of any shape."""
        return self._call("Gather", places)
