"""Prepares ISPRS Potsdam: potsdam.py DOWNLOAD_FOLDER [--out data/potsdam]

Cuts it into tiles with class numbers, in mmseg's tree. The download folder holds, as
folders or as zip archives, 2_Ortho_RGB (or 3_Ortho_IRRG, 4_Ortho_RGBIR, see --images) and
5_Labels_all_noBoundary (or 5_Labels_all, see --train-labels and --test-labels): 38 images
of 6000 x 6000 pixels, 24 to train on and 14 to test.
"""
from _isprs import main
from _preparation import run

if __name__ == '__main__':
    run(lambda: main(__doc__, 'potsdam'))
