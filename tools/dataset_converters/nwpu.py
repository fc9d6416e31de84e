"""Prepares NWPU-RESISC45: nwpu.py DOWNLOAD_FOLDER [--out data/nwpu]

Takes the unpacked archive: 45 class folders of 700 JPEG images. Checks that all are there
and writes lists with 10 % and with 20 % of each class to train; the images stay where they
are.
"""
from _preparation import run
from _scene_classes import main

if __name__ == '__main__':
    run(lambda: main(__doc__, 'nwpu'))
