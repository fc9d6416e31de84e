"""Prepares ISPRS Vaihingen: vaihingen.py DOWNLOAD_FOLDER [--out data/vaihingen]

Cuts it into tiles with class numbers, in mmseg's tree. The download folder holds, as
folders or as zip archives, ISPRS_semantic_labeling_Vaihingen (images in top/) and
ISPRS_semantic_labeling_Vaihingen_ground_truth_eroded_COMPLETE (or ..._ground_truth_COMPLETE,
see --train-labels and --test-labels): 33 images of near infrared, red and green, 16 to
train on and 17 to test.
"""
from _isprs import Benchmark, parse_options, prepare
from _preparation import run

VAIHINGEN = Benchmark(
    name='ISPRS Vaihingen',
    train=('1', '3', '5', '7', '11', '13', '15', '17', '21', '23', '26', '28', '30', '32',
           '34', '37'),
    test=('2', '4', '6', '8', '10', '12', '14', '16', '20', '22', '24', '27', '29', '31',
          '33', '35', '38'),
    images=dict(IRRG=r'/top/top_mosaic_09cm_area(\d+)\.tif$'),
    # full labels have the images' own names: their folder or archive distinguishes them
    labels=dict(
        eroded=r'/top_mosaic_09cm_area(\d+)_noBoundary\.tif$',
        full=r'(?:gts|ground_truth)[^/]*/(?:[^/]+/)?top_mosaic_09cm_area(\d+)\.tif$'))


def main(arguments=None):
    prepare(VAIHINGEN, parse_options(__doc__, 'data/vaihingen', VAIHINGEN, arguments))


if __name__ == '__main__':
    run(main)
