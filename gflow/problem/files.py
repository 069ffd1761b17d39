"""Files that the package writes: whole or not at all, and never more than was asked for."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import tempfile
from contextlib import contextmanager
from typing import IO, Iterator

from .words import cut

PLACES = ("/dev/", "/proc/")
"""What lies here is a device or an open file of some program, whatever it looks like."""

LONGEST, LONGEST_PART = 4095, 255
"""Bytes of a name, with its directories and without, on the systems that we know."""


def plain(path: str | os.PathLike[str] | bytes) -> str:
    """The name of a file as text, ``~`` written out.

    Raises
    ------
    TypeError
        If it is no name of a file.
    ValueError
        If no file can have it.

    Examples
    --------
    >>> plain(b"run.npz")
    'run.npz'
    """
    if not isinstance(path, str | bytes | os.PathLike):
        raise TypeError(f"the file is a {type(path).__name__}: give its name")
    name = os.path.expanduser(os.fsdecode(path))
    if not name or "\0" in name:
        raise ValueError("the name of the file is empty or has a zero byte: give another")
    if len(os.fsencode(name)) > LONGEST or any(len(os.fsencode(part)) > LONGEST_PART
                                               for part in name.split(os.sep)):
        raise ValueError(f"the name of the file is too long: give one of at most {LONGEST_PART} "
                         f"bytes, {LONGEST} with its directories")
    return name


class Output:
    """A file to be written, looked at before the work that it is for.

    What is there already decides how: a regular file is replaced at the end by one with the same
    permissions and owner, at the end of symbolic links; where that cannot be (hard links, no room
    beside it, an owner that cannot be given) its content is, from a whole copy. A device or a pipe
    is written to.

    Parameters
    ----------
    path : str, bytes or path-like
        Its name, as seen from the present directory.

    Raises
    ------
    TypeError, ValueError
        If that is no name.
    OSError
        If it cannot be written: no such directory, a directory, a disk, a socket, a pipe that
        nobody reads, or write protected.
    """

    def __init__(self, path: str | os.PathLike[str] | bytes) -> None:
        self.name = plain(path)
        self.shown = cut(self.name, 200)
        if not os.path.basename(self.name):
            # The system's own reading of the name would drop the mark.
            raise IsADirectoryError(f"{self.shown} is the name of a directory: give that of a file")
        self.target = os.path.abspath(self.name)
        self.there = self._now()
        self.special = self.there is not None and (
            not stat.S_ISREG(self.there.st_mode) or self.target.startswith(PLACES))
        self.pipe = -1
        if self.there is not None:
            self._refuse(self.there.st_mode)
        if self.special:
            return
        self.target = os.path.realpath(self.target)
        folder = os.path.dirname(self.target)
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"{cut(folder, 200)} is not a directory: make it first")
        self.beside = os.access(folder, os.W_OK | os.X_OK)
        if self.there is None and not self.beside:
            raise PermissionError(f"{cut(folder, 200)} cannot be written to: choose another "
                                  "directory")

    def spare(self, path: str | os.PathLike[str] | bytes) -> None:
        """Refuse to be the file ``path``, which is read, by whatever name or link.

        Raises
        ------
        ValueError
            In one sentence.
        """
        name = plain(path)
        # The same terminal is both read and written without loss.
        if not self.special and os.path.exists(name) and os.path.exists(self.target) and \
                os.path.samefile(name, self.target):
            raise ValueError(f"{self.shown} is the file that is read, {cut(name, 200)}, and would "
                             "be overwritten: give another name")

    def _now(self) -> os.stat_result | None:
        """What is there."""
        try:
            return os.stat(self.target)
        except FileNotFoundError:
            return None

    def _refuse(self, mode: int) -> None:
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(f"{self.shown} is a directory: give the name of a file")
        if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
            what = "a disk" if stat.S_ISBLK(mode) else "a socket"
            raise OSError(f"{self.shown} is {what}: give the name of a file")
        if not (mode & 0o222 and os.access(self.target, os.W_OK)):
            # Root may write anything, but whoever took the permission away meant it.
            raise PermissionError(f"{self.shown} is write protected: choose another name")
        if stat.S_ISFIFO(mode):
            try:
                # Opened now and kept, because its reader sees an end when it is closed.
                self.pipe = os.open(self.target, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                raise OSError(f"nobody reads the pipe {self.shown}: start its reader "
                              "first") from error
            os.set_blocking(self.pipe, True)

    def __del__(self) -> None:
        if getattr(self, "pipe", -1) >= 0:
            os.close(self.pipe)
            self.pipe = -1

    @contextmanager
    def writing(self) -> Iterator[IO[bytes]]:
        """A file for the content, which takes its place if all went well.

        Raises
        ------
        OSError
            If there is no room. If the content was whole, but could not be copied to its place,
            the sentence says where it is.
        """
        apart = self.special or not self.beside
        if not self.special:
            # It may have come while the work was done.
            self.there = self._now()
        folder = tempfile.gettempdir() if apart else os.path.dirname(self.target)
        # Short: the name that was asked for may be as long as names can be.
        temporary = os.path.join(folder, f".{secrets.token_hex(8)}.part")
        # The system takes the umask, or the rules of the directory, from the permissions of a new
        # file; one that stands for another is private until it has the same.
        mode = 0o666 if self.there is None else 0o600
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL
                         | getattr(os, "O_BINARY", 0), mode)
        try:
            with os.fdopen(handle, "w+b") as file:
                yield file
                _flush(file)
        except BaseException:
            os.unlink(temporary)
            raise
        if apart or not self._replace(temporary):
            self._pour(temporary)
            os.unlink(temporary)

    def _replace(self, temporary: str) -> bool:
        """Put a file in place of the target, if that changes nothing but its content."""
        was = self.there
        try:
            if was is not None:
                if was.st_nlink > 1:
                    return False
                now = os.stat(temporary)
                if (now.st_uid, now.st_gid) != (was.st_uid, was.st_gid):
                    os.chown(temporary, was.st_uid, was.st_gid)
                os.chmod(temporary, stat.S_IMODE(was.st_mode))
                for name in os.listxattr(self.target) if hasattr(os, "listxattr") else ():
                    os.setxattr(temporary, name, os.getxattr(self.target, name))
            os.replace(temporary, self.target)
        except OSError:
            if was is None:
                os.unlink(temporary)
                raise
            # Somebody else's file, or one that is mounted in its place.
            return False
        return True

    def _pour(self, temporary: str) -> None:
        """Copy a whole file into the target."""
        pipe, self.pipe = self.pipe, -1
        try:
            with open(temporary, "rb") as file, open(self.target if pipe < 0 else pipe,
                                                     "wb") as target:
                shutil.copyfileobj(file, target)
                _flush(target)
        except OSError as error:
            raise OSError(error.errno, f"{os.strerror(error.errno or 0)}: {self.shown} could not "
                          f"be written; the whole file is {temporary}") from error


@contextmanager
def whole_file(path: str | os.PathLike[str] | bytes | Output) -> Iterator[IO[bytes]]:
    """A file to write to that takes its place at ``path`` only if all went well; see `Output`.

    Raises
    ------
    TypeError, ValueError, OSError
        As `Output`, and if there is no room.
    """
    with (path if isinstance(path, Output) else Output(path)).writing() as file:
        yield file


def _flush(file: IO[bytes]) -> None:
    """To the disk: some find only then that they are full."""
    file.flush()
    try:
        os.fsync(file.fileno())
    except OSError as error:
        # Devices, pipes and some file systems know no such thing.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):
            raise
