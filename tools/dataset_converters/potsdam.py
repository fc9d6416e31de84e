"""Prepares ISPRS Potsdam: potsdam.py DOWNLOAD_FOLDER [--out data/potsdam]

Cuts it into tiles with class numbers, in mmseg's tree. The download folder holds, as
folders or as zip archives, 2_Ortho_RGB (or 3_Ortho_IRRG, 4_Ortho_RGBIR, see --images) and
5_Labels_all_noBoundary (or 5_Labels_all, see --train-labels and --test-labels): 38 images
of 6000 x 6000 pixels, 24 to train on and 14 to test.
"""
from _isprs import Benchmark, parse_options, prepare
from _preparation import run

POTSDAM = Benchmark(
    name='ISPRS Potsdam',
    train=('2_10', '2_11', '2_12', '3_10', '3_11', '3_12', '4_10', '4_11', '4_12', '5_10',
           '5_11', '5_12', '6_7', '6_8', '6_9', '6_10', '6_11', '6_12', '7_7', '7_8', '7_9',
           '7_10', '7_11', '7_12'),
    test=('2_13', '2_14', '3_13', '3_14', '4_13', '4_14', '4_15', '5_13', '5_14', '5_15',
          '6_13', '6_14', '6_15', '7_13'),
    images=dict(
        RGB=r'/top_potsdam_(\d+_\d+)_RGB\.tif$',
        IRRG=r'/top_potsdam_(\d+_\d+)_IRRG\.tif$',
        RGBIR=r'/top_potsdam_(\d+_\d+)_RGBIR\.tif$'),
    labels=dict(
        eroded=r'/top_potsdam_(\d+_\d+)_label_noBoundary\.tif$',
        full=r'/top_potsdam_(\d+_\d+)_label\.tif$'),
    size=(6000, 6000))


def main(arguments=None):
    prepare(POTSDAM, parse_options(__doc__, 'data/potsdam', POTSDAM, arguments))


if __name__ == '__main__':
    run(main)
