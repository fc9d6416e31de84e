"""Scene classes: functions that fill a plan."""
from .rural import farmland, forest, orchard
from .transport import airport, car_park, highway
from .urban import dense_residential, industrial, sparse_residential
from .water import coast, harbour, river

#: Function and range of the ground sampling distance (metres per pixel) of every scene
#: class, in the order of their ids.
LAYOUTS = {
    'farmland': (farmland, (0.8, 2.0)),
    'orchard': (orchard, (0.35, 0.8)),
    'forest': (forest, (0.5, 1.4)),
    'highway': (highway, (0.4, 0.9)),
    'car_park': (car_park, (0.2, 0.4)),
    'airport': (airport, (0.6, 1.4)),
    'industrial': (industrial, (0.45, 0.9)),
    'dense_residential': (dense_residential, (0.3, 0.6)),
    'sparse_residential': (sparse_residential, (0.3, 0.7)),
    'river': (river, (0.7, 2.0)),
    'coast': (coast, (0.6, 1.8)),
    'harbour': (harbour, (0.4, 0.9)),
}
