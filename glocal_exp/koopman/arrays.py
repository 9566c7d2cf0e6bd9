"""The arrays of Hankel DMD, by name.

sigma hypergradients of q numbers make n snapshots of m q numbers each. A decomposition of rank r
works on these, or on their d coordinates in an orthonormal basis.
"""

import numpy as np
from jaxtyping import Bool, Complex, Float, Shaped

Vector = Float[np.ndarray, " q"]
Trajectory = Shaped[np.ndarray, "sigma q"]
Snapshots = Float[np.ndarray, "d n"]
Modes = Complex[np.ndarray, "d r"]
ByMode = Complex[np.ndarray, " r"]
"""A number for each mode: eigenvalues, amplitudes."""
SingularValues = Float[np.ndarray, " k"]
Mask = Bool[np.ndarray, " r"]
"""Some of the modes."""
