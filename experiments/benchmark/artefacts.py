"""How much of the burned-in is removed, and how much of the body is touched, on drawn films.

The films below were fixed before the work on the removal began, and are not tuned on: while
working, draw others.
"""

COUNT = 200
CHEST_SEED = 20261125
BREAST_SEED = 20261126
