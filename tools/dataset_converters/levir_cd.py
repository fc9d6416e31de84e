"""Prepares LEVIR-CD: levir_cd.py DOWNLOAD_FOLDER [--out data/levir_cd]

Cuts the pairs into tiles of 256 pixels. The download folder holds
{train,val,test}/{A,B,label}, as folders or as train.zip, val.zip and test.zip: 445, 64 and
128 pairs of 1024 x 1024 pixels, 16 tiles each.
"""
from _pairs import main
from _preparation import run

if __name__ == '__main__':
    run(lambda: main(__doc__, 'levir_cd'))
