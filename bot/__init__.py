"""The application."""

import gc

# what is being loaded is no garbage: looking through it again and again takes a tenth of a start
gc.set_threshold(250_000, *gc.get_threshold()[1:])
