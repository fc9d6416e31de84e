"""Prepares AID: aid.py DOWNLOAD_FOLDER [--out data/aid]

Takes the unpacked archive: 30 class folders of 10,000 JPEG images in all. Checks that all
are there and writes lists with 20 % and with 50 % of each class to train; the images stay
where they are.
"""
from _preparation import run
from _scene_classes import main

if __name__ == '__main__':
    run(lambda: main(__doc__, 'aid'))
