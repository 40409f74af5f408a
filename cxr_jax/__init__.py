"""Train, evaluate and explain classifiers of chest radiographs and mammograms in JAX.

The modules are the interface: `from cxr_jax import losses`, `from cxr_jax import augment`, …
Importing this package imports nothing else.
"""

__version__ = "0.1.0"
