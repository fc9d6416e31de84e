"""Cheap scalar random numbers from a ``numpy.random.Generator``."""
import math

_BLOCK = 256


class Dice:
    """Hands out single numbers of a generator, drawn in blocks.

    A call of a numpy generator costs more than drawing a building, and a layout asks for
    hundreds of numbers.

    Args:
        generator (numpy.random.Generator): source; ``.generator`` serves whole arrays.
    """

    def __init__(self, generator):
        self.generator = generator
        self._left = []

    def random(self):
        """Float in [0, 1)."""
        if not self._left:
            self._left = self.generator.random(_BLOCK).tolist()
        return self._left.pop()

    def uniform(self, low, high):
        return low + (high - low) * self.random()

    def log_uniform(self, low, high):
        return math.exp(self.uniform(math.log(low), math.log(high)))

    def integer(self, low, high):
        """Whole number in [low, high)."""
        return low + int((high - low) * self.random())

    def chance(self, probability):
        return self.random() < probability

    def pick(self, options):
        return options[int(len(options) * self.random())]

    def around(self, spread):
        """Symmetric number around 0 with standard deviation ``spread``."""
        return spread * 1.7320508 * (2 * self.random() - 1)
