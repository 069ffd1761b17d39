"""Files that the package writes: whole or not at all, and never more than was asked for."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from contextlib import contextmanager, suppress
from typing import IO, Any, Iterator

from .words import cut, kind_of

PLACES = ("/proc/", "/sys/")
"""What lies here is no file of a disk, whatever it looks like."""

OTHERS = re.compile(r"/proc/\d+(/task/\d+)?/fd")
"""Where the open files of programs are."""

LONGEST, LONGEST_PART = 4095, 255
"""Bytes of a name, with its directories and without, on the systems that we know."""

LINKS = 40
"""Symbolic links that the systems that we know follow one after the other."""

ADVICE = {errno.ENOSPC: "make room there, or choose another directory",
          errno.EDQUOT: "make room there, or choose another directory",
          errno.EMFILE: "raise the limit on open files (ulimit -n)",
          errno.EFBIG: "raise the limit on the sizes of files (ulimit -f), or write less",
          errno.ELOOP: "its symbolic links lead in a circle, so give another name",
          errno.ENOTDIR: "a part of its name is a file and no directory, so give another name",
          errno.ENAMETOOLONG: "give a shorter one",
          errno.EROFS: "choose another directory",
          errno.EACCES: "change the permissions, or choose another",
          errno.EPERM: "change the permissions, or choose another"}
"""What to do about errors of the system."""


def told(error: OSError, what: str) -> OSError:
    """The same error in one sentence: ``what`` cannot be done, why, and what to do.

    Examples
    --------
    >>> told(OSError(errno.ENAMETOOLONG, "File name too long"), "run.npz cannot be written")
    OSError('run.npz cannot be written (file name too long): give a shorter one')
    """
    said = type(error)(f"{what} ({_why(error)}): "
                       f"{ADVICE.get(error.errno or 0, 'check the disk, or give another name')}")
    said.errno = error.errno
    return said


def _why(error: OSError) -> str:
    words = os.strerror(error.errno or errno.EIO)
    return words[0].lower() + words[1:]


def descriptor(path: str) -> int | None:
    """The open file of this program that a name stands for (``/dev/stdout``, ``/dev/fd/3``), by
    symbolic links too; None for any other name.

    Examples
    --------
    >>> descriptor("run.npz")
    """
    name = os.path.abspath(path)
    own = os.path.realpath("/proc/self")
    for _ in range(LINKS):
        folder, part = os.path.split(name)
        folder = os.path.realpath(folder)
        if part.isdecimal() and (folder == "/dev/fd" or folder.startswith(own + os.sep)
                                 and os.path.basename(folder) == "fd"):
            return int(part)
        try:
            # One link at a time: the last would be the file itself.
            name = os.path.abspath(os.path.join(folder, os.readlink(os.path.join(folder, part))))
        except OSError:
            return None
    return None


def meets(stream: Any, path: str) -> bool:
    """Whether what is printed on ``stream`` would get into the file ``path``.

    Examples
    --------
    >>> meets(None, "run.npz")
    False
    """
    try:
        number = stream.fileno()
        there, printed = os.stat(path), os.fstat(number)
    except (AttributeError, OSError, ValueError):
        return False
    # A terminal, or the device that swallows all, may be written to by everybody.
    return os.path.samestat(there, printed) and (
        not stat.S_ISCHR(there.st_mode) or descriptor(path) == number)


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
        raise TypeError(f"the file is {kind_of(path)}: give its name")
    name = os.path.expanduser(os.fsdecode(path))
    if not name or "\0" in name:
        raise ValueError("the name of the file is empty or has a zero byte: give another")
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        raise ValueError("the name of the file has letters that this system cannot write: give "
                         "another") from None
    if len(os.fsencode(name)) > LONGEST or any(len(os.fsencode(part)) > LONGEST_PART
                                               for part in name.split(os.sep)):
        raise ValueError(f"the name of the file is too long: give one of at most {LONGEST_PART} "
                         f"bytes, {LONGEST} with its directories")
    return name


def absolute(name: str) -> str:
    """A name of a file as it is seen from the root.

    Raises
    ------
    FileNotFoundError
        If it is seen from the present directory, and that has been deleted.

    Examples
    --------
    >>> os.path.isabs(absolute("run.npz"))
    True
    """
    try:
        return os.path.abspath(name)
    except FileNotFoundError:
        raise FileNotFoundError(f"{cut(name, 200)} would be in the present directory, which has "
                                "been deleted: change to another one") from None


class Output:
    """A file to be written, looked at before the work that it is for.

    What is there already decides how: a regular file is replaced at the end by one with the same
    permissions and owner, at the end of symbolic links; where that cannot be (hard links, no room
    beside it, an owner that cannot be given) its content is, from a whole copy. A device or a pipe
    is written to, and so is an open file of this program (``/dev/stdout``), from where it stands.

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
        nobody reads, an open file of another program, or write protected.
    """

    def __init__(self, path: str | os.PathLike[str] | bytes) -> None:
        self.name = plain(path)
        self.shown = cut(self.name, 200)
        if not os.path.basename(self.name):
            # The system's own reading of the name would drop the mark.
            raise IsADirectoryError(f"{self.shown} is the name of a directory: give that of a file")
        self.target = absolute(self.name)
        number = descriptor(self.target)
        self.own = number is not None
        self.handle = -1 if number is None else self._again(number)
        self.there = self._now()
        self.special = self.there is not None and (
            self.own or not stat.S_ISREG(self.there.st_mode)
            or self.target.startswith(PLACES))
        if self.there is not None and not self.own:
            self._refuse(self.there.st_mode)
        if self.special:
            return
        self.target = os.path.realpath(self.target)
        folder = os.path.dirname(self.target)
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"{cut(folder, 200)} is not a directory: make it first")
        if self.there is None and self.target.startswith(PLACES):
            # Root is told that it may.
            raise OSError(f"{self.shown} cannot be made, for {cut(folder, 200)} holds no files of "
                          "a disk: choose another directory")
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
        if self.there is not None and not stat.S_ISCHR(self.there.st_mode) and \
                os.path.exists(name) and os.path.samestat(os.stat(name), self.there):
            raise ValueError(f"{self.shown} is the file that is read, {cut(name, 200)}, and would "
                             "be overwritten: give another name")

    def _again(self, number: int) -> int:
        """An open file of ours once more: it stays where it is, at its end if that is how it was
        opened, and is not cut off as one that is opened by name."""
        import fcntl
        try:
            handle = os.dup(number)
        except OSError as error:
            raise OSError(f"{self.shown} is not open: give the name of a file") from error
        mode = os.fstat(handle).st_mode
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY or \
                stat.S_ISBLK(mode):
            os.close(handle)
            raise OSError(f"{self.shown} is a disk, or open for reading only: give the name of a "
                          "file")
        return handle

    def _now(self) -> os.stat_result | None:
        """What is there."""
        try:
            return os.stat(self.target) if self.handle < 0 else os.fstat(self.handle)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise told(error, f"{self.shown} cannot be written") from error

    def _refuse(self, mode: int) -> None:
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(f"{self.shown} is a directory: give the name of a file")
        if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
            what = "a disk" if stat.S_ISBLK(mode) else "a socket"
            raise OSError(f"{self.shown} is {what}: give the name of a file")
        if stat.S_ISREG(mode) and OTHERS.fullmatch(os.path.realpath(
                os.path.dirname(self.target))):
            raise OSError(f"{self.shown} is an open file of another program: give the name of a "
                          "file")
        if not (mode & 0o222 and os.access(self.target, os.W_OK)):
            # Root may write anything, but whoever took the permission away meant it.
            raise PermissionError(f"{self.shown} is write protected: choose another name")
        if stat.S_ISFIFO(mode):
            try:
                # Opened now and kept, because its reader sees an end when it is closed.
                self.handle = os.open(self.target, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                raise OSError(f"nobody reads the pipe {self.shown}: start its reader "
                              "first") from error
            os.set_blocking(self.handle, True)

    def __del__(self) -> None:
        if getattr(self, "handle", -1) >= 0:
            os.close(self.handle)
            self.handle = -1

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
        # The system takes the umask, or the rules of the directory, from the permissions of a new
        # file; one that stands for another is private until it has the same.
        mode = 0o666 if self.there is None else 0o600
        folder = None if apart else os.path.dirname(self.target)
        try:
            folder = folder or tempfile.gettempdir()
            # Short: the name that was asked for may be as long as names can be.
            temporary = os.path.join(folder, f".{secrets.token_hex(8)}.part")
            handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL
                             | getattr(os, "O_BINARY", 0), mode)
        except OSError as error:
            raise self._failed(error, folder) from error
        try:
            with os.fdopen(handle, "w+b") as file:
                yield file
                _flush(file)
        except BaseException as error:
            os.unlink(temporary)
            if isinstance(error, OSError) and error.errno and error.filename is None:
                raise self._failed(error, folder) from error
            raise
        if apart or not self._replace(temporary):
            self._pour(temporary)
            os.unlink(temporary)

    def _failed(self, error: OSError, folder: str | None) -> OSError:
        """What to say of an error of the system while a file was written in ``folder``."""
        return told(error, f"{self.shown} cannot be written in "
                    f"{cut(folder or 'any directory for temporary files', 200)}")

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
        except OSError as error:
            if was is None:
                os.unlink(temporary)
                raise self._failed(error, os.path.dirname(temporary)) from error
            # Somebody else's file, or one that is mounted in its place.
            return False
        return True

    def _pour(self, temporary: str) -> None:
        """Copy a whole file into the target."""
        # What was printed so far stands before it.
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, OSError, ValueError):
                stream.flush()
        handle = self.handle
        if not self.own:
            self.handle = -1
        try:
            with open(temporary, "rb") as file, open(self.target if handle < 0 else handle, "wb",
                                                     closefd=not self.own) as target:
                shutil.copyfileobj(file, target)
                _flush(target)
        except OSError as error:
            # Not as a broken pipe: that is how a command ends whose printing nobody reads.
            said = OSError(f"{self.shown} could not be written ({_why(error)}); the whole file is "
                           f"{temporary}")
            said.errno = error.errno
            raise said from error


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
