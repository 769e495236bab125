"""
Tests for `hfp.spool.files` and `hfp.spool.memory`: the real disk, and what stands in for it.
"""

from __future__ import annotations

import os
import stat

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hfp.spool.files import IFile, IFiles, RealFiles
from hfp.spool.memory import MemoryFile
from hfp.test.spoolfakes import SimulatedFiles


def mode(path: str) -> int:
    """The permission bits of a file."""
    return stat.S_IMODE(os.stat(path).st_mode)


class RealFilesTests(SynchronousTestCase):
    """The operating system's files."""

    def setUp(self) -> None:
        self.files = RealFiles()
        self.directory = self.mktemp()
        self.addCleanup(os.umask, os.umask(0))
        self.files.prepare(self.directory)
        self.path = os.path.join(self.directory, "file")

    def test_interfaces(self) -> None:
        """They are what the spool asks for."""
        verifyObject(IFiles, self.files)
        file = self.files.create(self.path)
        verifyObject(IFile, file)
        file.close()

    def test_permissions(self) -> None:
        """HEP carries SIP credentials: only the owner may look, whatever the umask."""
        self.files.create(self.path).close()
        self.files.lock(self.path + ".lock").close()
        self.assertEqual(mode(self.directory), 0o700)
        self.assertEqual(mode(self.path), 0o600)
        self.assertEqual(mode(self.path + ".lock"), 0o600)

    def test_directory_is_closed(self) -> None:
        """A directory that was open to others is closed to them."""
        os.chmod(self.directory, 0o755)
        self.files.prepare(self.directory)
        self.assertEqual(mode(self.directory), 0o700)

    def test_parents(self) -> None:
        """Missing parents are made, too."""
        deep = os.path.join(self.directory, "var", "spool")
        self.files.prepare(deep)
        self.assertEqual(mode(deep), 0o700)

    def test_read_and_write(self) -> None:
        """Several buffers at once, anywhere; fewer octets only at the end."""
        file = self.files.create(self.path)
        self.assertEqual(file.write([b"0123", memoryview(b"4567"), bytearray(b"89")], 0), 10)
        self.assertEqual(file.write([b"ab"], 3), 2)
        buffers = [bytearray(4), bytearray(8)]
        self.assertEqual(file.read(buffers, 2), 8)
        self.assertEqual(bytes(buffers[0] + buffers[1][:4]), b"2ab56789")
        self.assertEqual(file.size(), 10)
        file.sync()
        file.close()
        file.close()

    def test_create_twice(self) -> None:
        """A file that is there is not made anew."""
        self.files.create(self.path).close()
        self.assertRaises(FileExistsError, self.files.create, self.path)

    def test_no_symbolic_links(self) -> None:
        """Nobody can have hfp write elsewhere by planting a link."""
        os.symlink("/dev/null", self.path)
        for method in (self.files.open, self.files.create, self.files.lock):
            self.assertRaises(OSError, method, self.path)

    def test_lock(self) -> None:
        """A lock is for one, and free when that one lets go."""
        lock = self.files.lock(self.path)
        self.assertRaises(BlockingIOError, self.files.lock, self.path)
        lock.close()
        self.files.lock(self.path).close()

    def test_listing(self) -> None:
        """Files and their sizes; nothing else."""
        file = self.files.create(self.path)
        file.write([b"12345"], 0)
        file.close()
        os.mkdir(self.path + ".d")
        os.symlink(self.path, self.path + ".l")
        self.assertEqual(self.files.listing(self.directory), {"file": 5})

    def test_names(self) -> None:
        """Files get other names, and lose them."""
        self.files.create(self.path).close()
        self.files.rename(self.path, self.path + "2")
        self.assertEqual(list(self.files.listing(self.directory)), ["file2"])
        self.files.sync_directory(self.directory)
        self.files.unlink(self.path + "2")
        self.assertEqual(self.files.listing(self.directory), {})
        self.assertRaises(FileNotFoundError, self.files.open, self.path)

    def test_space(self) -> None:
        """A file system has some room, and not all of it is free."""
        total, free = self.files.space(self.directory)
        self.assertTrue(0 < free <= total)


class MemoryFileTests(SynchronousTestCase):
    """A file in memory."""

    def test_interface(self) -> None:
        """It is what a segment asks for."""
        verifyObject(IFile, MemoryFile())

    def test_read_and_write(self) -> None:
        """As a real file, but that it always ends where it was last written."""
        file = MemoryFile()
        self.assertEqual(file.write([b"0123", memoryview(b"4567"), bytearray(b"89")], 0), 10)
        self.assertEqual(file.write([b"ab"], 8), 2)
        buffers = [bytearray(4), bytearray(8)]
        self.assertEqual(file.read(buffers, 2), 8)
        self.assertEqual(bytes(buffers[0] + buffers[1][:4]), b"234567ab")
        self.assertEqual(file.size(), 10)
        file.sync()
        self.assertEqual(file.write([b"!"], 2), 1)
        self.assertEqual(file.size(), 3)

    def test_written_while_read(self) -> None:
        """What was read can be kept while more is written."""
        file = MemoryFile()
        file.write([b"0123"], 0)
        buffer = memoryview(bytearray(4))
        file.read([buffer], 0)
        file.write([b"x" * 10_000], 4)
        self.assertEqual(bytes(buffer), b"0123")


class FakeTests(SynchronousTestCase):
    """What the tests put in the disk's place."""

    def test_interfaces(self) -> None:
        """It is what the spool asks for."""
        files = SimulatedFiles()
        verifyObject(IFiles, files)
        verifyObject(IFile, files.create("/spool/file"))
