"""Local files that are there complete or not at all, as a storage of mmengine."""
from mmengine.fileio import LocalBackend, register_backend

from cmid_mm.checkpoints.output_file import complete_or_absent


class CompleteFileBackend(LocalBackend):
    """mmengine's ``LocalBackend`` writes in place; a process that is killed leaves half a file.

    Chosen by ``backend_args=dict(backend='CompleteFileBackend')``.
    """

    def put(self, obj: bytes, filepath: str) -> None:
        """Write beside the file, bring it to the disk, give it its name."""
        with complete_or_absent(filepath) as path:
            path.write_bytes(obj)

    def put_text(self, obj: str, filepath: str, encoding: str = 'utf-8') -> None:
        """As ``put``, for text."""
        self.put(obj.encode(encoding), filepath)


register_backend('CompleteFileBackend', CompleteFileBackend, force=True)
