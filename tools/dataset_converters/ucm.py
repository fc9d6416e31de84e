"""Prepares UC Merced Land Use: ucm.py DOWNLOAD_FOLDER [--out data/ucm]

Takes the unpacked UCMerced_LandUse.zip: 21 class folders of 100 TIFF images. Checks that
all are there and writes lists with 80 % of each class to train; the images stay where
they are.
"""
from _preparation import run
from _scene_classes import main

if __name__ == '__main__':
    run(lambda: main(__doc__, 'ucm'))
