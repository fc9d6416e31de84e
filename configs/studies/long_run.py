# How the features of the small student grow with training: CMID and its global contrast alone,
# 600,000 samples, with the probes on the way.
#
#   python tools/study.py configs/studies/long_run.py --jobs 2 \
#       --data images=FOLDER scenes=CLASS_FOLDERS places=IMAGES_AND_MASKS
_base_ = './parts.py'

seeds = [0]
samples = 600_000
probes = 8
# the student's
metrics = _base_.metrics[:3]
parts = _base_.variants
variants = dict(
    _delete_=True,
    untrained=parts.untrained, global_alone=parts.global_alone, cmid=parts.cmid_auto)
