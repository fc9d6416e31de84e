"""Prepares UC Merced Land Use: ucm.py DOWNLOAD_FOLDER [--out data/ucm]

Takes the unpacked UCMerced_LandUse.zip: 21 class folders of 100 TIFF images. Checks that
all are there and writes lists with 80 % of each class to train; the images stay where
they are.
"""
from _preparation import argument_parser, parse_args, run
from _scene_classes import SceneSet, prepare

NAMES = (
    'agricultural airplane baseballdiamond beach buildings chaparral denseresidential '
    'forest freeway golfcourse harbor intersection mediumresidential mobilehomepark '
    'overpass parkinglot river runway sparseresidential storagetanks tenniscourt')

# a few images are some pixels short of 256
SET = SceneSet('UC Merced', dict.fromkeys(NAMES.split(), 100), '.tif', (240, 260), (80, ))


def main(arguments=None):
    prepare(SET, parse_args(argument_parser(__doc__, 'data/ucm'), arguments))


if __name__ == '__main__':
    run(main)
