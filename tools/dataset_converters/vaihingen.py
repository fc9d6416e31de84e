"""Prepares ISPRS Vaihingen: vaihingen.py DOWNLOAD_FOLDER [--out data/vaihingen]

Cuts it into tiles with class numbers, in mmseg's tree. The download folder holds, as
folders or as zip archives, ISPRS_semantic_labeling_Vaihingen (images in top/) and
ISPRS_semantic_labeling_Vaihingen_ground_truth_eroded_COMPLETE (or ..._ground_truth_COMPLETE,
see --train-labels and --test-labels): 33 images of near infrared, red and green, 16 to
train on and 17 to test.
"""
from _isprs import main
from _preparation import run

if __name__ == '__main__':
    run(lambda: main(__doc__, 'vaihingen'))
