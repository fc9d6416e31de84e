"""Prepares NWPU-RESISC45: nwpu.py DOWNLOAD_FOLDER [--out data/nwpu]

Takes the unpacked archive: 45 class folders of 700 JPEG images. Checks that all are there
and writes lists with 10 % and with 20 % of each class to train; the images stay where they
are.
"""
from _preparation import argument_parser, parse_args, run
from _scene_classes import SceneSet, prepare

NAMES = (
    'airplane airport baseball_diamond basketball_court beach bridge chaparral church '
    'circular_farmland cloud commercial_area dense_residential desert forest freeway '
    'golf_course ground_track_field harbor industrial_area intersection island lake '
    'meadow medium_residential mobile_home_park mountain overpass palace parking_lot '
    'railway railway_station rectangular_farmland river roundabout runway sea_ice ship '
    'snowberg sparse_residential stadium storage_tank tennis_court terrace '
    'thermal_power_station wetland')

SET = SceneSet('NWPU-RESISC45', dict.fromkeys(NAMES.split(), 700), '.jpg', (256, 256),
               (10, 20))


def main(arguments=None):
    prepare(SET, parse_args(argument_parser(__doc__, 'data/nwpu'), arguments))


if __name__ == '__main__':
    run(main)
