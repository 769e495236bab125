"""Tests for `hfp.options` and `hfp.settings`."""

from __future__ import annotations

import os
import sys
from io import StringIO
from ipaddress import ip_network
from typing import Any

from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from hfp.addresses import ListenSpec, RemoteSpec, TlsFiles
from hfp.filters.loading import FilterSpec
from hfp.options import OPTIONS, Options
from hfp.secrets import Secret
from hfp.settings import Settings
from hfp.spool import FullPolicy

REMOTE = ("--remote", "homer.example:9060")


def parsed(*words: str) -> Settings:
    """The settings that a command line makes."""
    options = Options()
    options.parseOptions(list(words))
    return options.settings


class SettingsTests(SynchronousTestCase):
    """Each option makes its setting."""

    def test_defaults(self) -> None:
        """With only a remote given, every other setting has the default that the documentation names."""
        self.assertEqual(
            parsed(*REMOTE),
            Settings(
                listen=(ListenSpec("tcp", 9060), ListenSpec("udp", 9060)),
                remotes=(RemoteSpec("tcp", "homer.example", 9060),),
                spool=os.path.join(os.getcwd(), "hfp-spool"),
                spool_limit_octets=4_000_000_000,
                spool_full=FullPolicy.DROP_OLDEST,
                sync_s=0.2,
                resend_window_s=2.0,
                replay_rate_octets=0,
                reconnect_s=5.0,
                keepalive_s=5,
                nodelay=False,
                prom=ListenSpec("tcp", 8090, "127.0.0.1"),
                debug=False,
                convert=True,
                allow=(),
                auth_keys=(),
                max_connections=1000,
                max_connections_per_host=100,
                packet_deadline_s=30.0,
                hello_key=None,
                hepdecode=False,
                filters=(),
                filter_errors="pass",
                forget=(),
            ),
        )

    def test_each_option(self) -> None:
        """Each option, by each of its names, sets what it should and nothing else."""
        usual = parsed(*REMOTE)
        listen = (ListenSpec("tcp", 9061, "127.0.0.1"),)
        networks = tuple(map(ip_network, ("192.0.2.0/24", "2001:db8::/32", "127.0.0.1")))
        keys = (Secret("--auth-key", key=b"a"), Secret("--auth-key-file", path="/k"))
        for words, setting, value in (
            (["--listen", "tcp:9061:interface=127.0.0.1"], "listen", listen),
            (["--listen=127.0.0.1:9061"], "listen", listen),
            (["-l", "127.0.0.1:9061"], "listen", listen),
            (["-l127.0.0.1:9061"], "listen", listen),
            (["-l", "9061", "-l", "[::1]:9062"], "listen", (ListenSpec("tcp", 9061), ListenSpec("tcp", 9062, "::1"))),
            (["--spool", "/var/spool/hfp"], "spool", "/var/spool/hfp"),
            (["--spool", "a/../b/"], "spool", os.path.join(os.getcwd(), "b")),
            (["--spool-limit", "64MB"], "spool_limit_octets", 64_000_000),
            (["--spool-limit", "0"], "spool_limit_octets", 0),
            (["--maxbuffer", "4MB"], "spool_limit_octets", 4_000_000),
            (["--spool-full", "drop-newest"], "spool_full", FullPolicy.DROP_NEWEST),
            (["--spool-full", "block"], "spool_full", FullPolicy.BLOCK),
            (["--sync", "0"], "sync_s", 0.0),
            (["--sync", "1.5"], "sync_s", 1.5),
            (["--resend-window", "0"], "resend_window_s", 0.0),
            (["--replay-rate", "64KB"], "replay_rate_octets", 64_000),
            (["--reconnect", "0.5"], "reconnect_s", 0.5),
            (["--keepalive", "0"], "keepalive_s", 0),
            (["--nodelay"], "nodelay", True),
            (["--prom", "off"], "prom", None),
            (["--prom", "8091"], "prom", ListenSpec("tcp", 8091)),
            (["--prom", "tcp:8091:interface=127.0.0.1"], "prom", ListenSpec("tcp", 8091, "127.0.0.1")),
            (["-d", "on"], "debug", True),
            (["--debug", "ON"], "debug", True),
            (["--debug", "off"], "debug", False),
            (["--convert", "off", "-r", "udp:a:1"], None, None),
            (["--allow", "192.0.2.0/24, 2001:db8::/32", "--allow", "127.0.0.1"], "allow", networks),
            (["--auth-key", "a", "--auth-key-file", "/k"], "auth_keys", keys),
            (["--max-connections", "5"], "max_connections", 5),
            (["--max-connections-per-host", "5"], "max_connections_per_host", 5),
            (["--packet-deadline", "1.5"], "packet_deadline_s", 1.5),
            (["--hello-key", "b"], "hello_key", Secret("--hello-key", key=b"b")),
            (["--hp", "b"], "hello_key", Secret("--hello-key", key=b"b")),
            (["--hello-key-file", "k"], "hello_key", Secret("--hello-key-file", path=os.path.abspath("k"))),
            (["--hepdecode", "on"], "hepdecode", True),
            (["--filter", "a", "--filter", "b:c:d"], "filters", (FilterSpec("a"), FilterSpec("b", "c:d"))),
            (["--filter-errors", "reject"], "filter_errors", "reject"),
            (["--ipf", "192.0.2.1,::1"], "filters", (FilterSpec("ip", "either=192.0.2.1/32,[::1/128]:pass"),)),
            (["--ipfa", "reject", "--ipf", "::/0"], "filters", (FilterSpec("ip", "either=[::/0]:reject"),)),
            (["--forget", "Old.Example:9060"], "forget", ("tcp:old.example:9060",)),
            (["--forget", "a:1", "--forget", "b:2"], "forget", ("tcp:a:1", "tcp:b:2")),
        ):
            settings = parsed(*REMOTE, *words)
            if setting is None:
                continue
            self.assertEqual(getattr(settings, setting), value, words)
            self.assertEqual(evolve(settings, **{setting: getattr(usual, setting)}), usual, words)

    def test_remotes(self) -> None:
        """Remotes are kept in the order given, by both names."""
        names = [remote.name for remote in parsed("-r", "b:1", "--remote", "tcp:[::1]:2", "-r", "a:3").remotes]
        self.assertEqual(names, ["tcp:b:1", "tcp:[::1]:2", "tcp:a:3"])

    def test_protocol(self) -> None:
        """``-p`` and ``-s`` do what they do in the Go HFP, wherever they stand; a transport that is named stays."""
        first, second = parsed("-r", "a:1", "-p", "tls", "-r", "tcp:b:2", "-s").remotes
        self.assertEqual((first.kind, first.insecure), ("tls", True))
        self.assertEqual((second.kind, second.insecure), ("tcp", False))
        self.assertEqual(parsed("-r", "a:1", "-p", "udp", "--forget", "b:1").forget, ("udp:b:1",))

    def test_convert_off(self) -> None:
        """HEP 1 and 2 can go on as they are where there is a udp remote."""
        self.assertFalse(parsed("-r", "udp:a:1", "-r", "b:1", "--convert", "off").convert)

    def test_files(self) -> None:
        """Files are found from the directory where twistd is started, wherever it goes later."""
        here = os.getcwd()
        settings = parsed("-r", "tls:a:1:caFile=ca.pem", "-l", "tls:0:privateKey=k:certKey=/c")
        self.assertEqual(settings.remotes[0].files.ca_file, f"{here}/ca.pem")
        self.assertEqual(settings.listen[0].files, TlsFiles(private_key=f"{here}/k", certificate="/c"))

    def test_keys_are_not_shown(self) -> None:
        """No key is part of what the settings look like."""
        settings = parsed(*REMOTE, "--auth-key", "hush-a", "--hello-key", "hush-b")
        self.assertNotIn("hush", repr(settings))

    def test_frozen(self) -> None:
        """Nobody changes a setting later."""
        settings: Any = parsed(*REMOTE)
        with self.assertRaises(FrozenInstanceError):
            settings.debug = True

    def test_each_parsing_anew(self) -> None:
        """Repeatable options do not pile up from one parser to the next."""
        parsed("-r", "a:1")
        self.assertEqual(len(parsed("-r", "b:1").remotes), 1)

    def test_spool_follows_twistds_directories(self) -> None:
        """A relative spool is in the directory that twistd is about to change to; its root likewise."""
        for rundir, chroot, spool in (
            (".", None, os.path.join(os.getcwd(), "s")),
            ("/var/lib/hfp", None, "/var/lib/hfp/s"),
            ("run", None, os.path.join(os.getcwd(), "run", "s")),
            (".", "/jail", "/s"),
            ("run", "/jail", "/run/s"),
        ):
            options = Options()
            options.parent = usage.Options()
            options.parent.update(rundir=rundir, chroot=chroot)
            options.parseOptions([*REMOTE, "--spool", "s"])
            self.assertEqual(options.settings.spool, spool)


class WrongUseTests(SynchronousTestCase):
    """Wrong use ends in one line that names the option, the value and the cure, and exit code 1."""

    def refused(self, *words: str) -> str:
        """The line with which a command line is refused."""
        stop = self.assertRaises(SystemExit, Options().parseOptions, list(words))
        # Python prints a text given to SystemExit on standard error, and exits with 1.
        assert isinstance(stop.code, str)
        self.assertNotIn("\n", stop.code)
        self.assertTrue(stop.code.startswith("hfp: "), stop.code)
        return stop.code.removeprefix("hfp: ")

    def test_values(self) -> None:
        """Each option refuses what it cannot use, under the name by which it was given."""
        for option, value, reason in (
            ("--listen", "99999", "is not a port"),
            ("--remote", "homer.example", "has no port"),
            ("--spool", "", "is empty; name a directory"),
            ("--spool-limit", "lots", "is not a size"),
            ("--spool-limit", "1MB", "write 4MB or more"),
            ("--maxbuffer", "1MB", "write 4MB or more"),
            ("--spool-full", "panic", "write drop-oldest, drop-newest, block"),
            ("--sync", "nan", "is not a number of seconds"),
            ("--sync", "-1", "is not a number of seconds"),
            ("--sync", "3601", "write 0, or 0.001 to 3600"),
            ("--resend-window", "1e9", "is not a number of seconds"),
            ("--resend-window", "86400", "write 0 to 3600"),
            ("--replay-rate", "1KB", "write 64KB or more"),
            ("--reconnect", "0", "write 0.1 to 3600"),
            ("--keepalive", "2.5", "has a fraction"),
            ("--keepalive", "40000", "write 0 to 32767"),
            ("--prom", "on", "is not a port"),
            ("--debug", "yes", "is neither on nor off"),
            ("--forget", "old", "has no port"),
        ):
            line = self.refused(*REMOTE, option, value)
            self.assertTrue(line.startswith(f"{option} {value or chr(39) * 2}: "), line)
            self.assertIn(reason, line)

    def test_secrets(self) -> None:
        """A key that cannot be taken is not shown."""
        self.assertEqual(
            self.refused(*REMOTE, "--auth-key", ""), "--auth-key: is empty; give the key, or leave the option out"
        )

    def test_short_names(self) -> None:
        """An option given by its short name is reported by its long one."""
        self.assertEqual(self.refused("-r", "a:0"), "--remote a:0: '0' is not a port; give a number from 1 to 65535")

    def test_value_on_one_line(self) -> None:
        """A value with control characters, blanks at its ends, or thousands of letters does not spoil the line."""
        self.assertIn(r"--remote 'a\nb': ", self.refused("-r", "a\nb"))
        self.assertIn("--remote ' a:1': ", self.refused("-r", " a:1"))
        self.assertIn(r"--remote '\udcff': ", self.refused("-r", "\udcff"))
        self.assertLess(len(self.refused("--sync", "x" * 100_000)), 300)

    def test_unknown(self) -> None:
        """An unknown option is named, with the one that was probably meant."""
        self.assertEqual(self.refused("--rmeote", "a:1"), "--rmeote: no such option; did you mean --remote?")
        self.assertEqual(self.refused("--frobnicate"), "--frobnicate: no such option; see twistd hfp --help")
        self.assertEqual(self.refused("-x"), "-x: no such option; see twistd hfp --help")

    def test_ambiguous(self) -> None:
        """The beginning of several options is answered with those."""
        self.assertEqual(self.refused("--rem"), "--remote: needs a value; for example --remote homer.example:9060")
        line = self.refused("--re", "a:1")
        self.assertTrue(line.startswith("--re: could be --remote or "), line)
        self.assertTrue(line.endswith("; write it out"), line)

    def test_value_missing_or_surplus(self) -> None:
        """A value where none belongs, or none where one does."""
        self.assertEqual(self.refused("--sync"), "--sync: needs a value; for example --sync 0.2")
        self.assertEqual(self.refused("-l"), "-l: needs a value; for example -l tcp:9060")
        self.assertEqual(self.refused("--nodelay=yes"), "--nodelay: takes no value; write it alone")
        self.assertEqual(self.refused("--help=me"), "--help: takes no value; write it alone")

    def test_words(self) -> None:
        """A word that is no option is not passed over."""
        self.assertEqual(
            self.refused(*REMOTE, "backup.example:9060"),
            "backup.example:9060: is not an option; a collector's address goes after --remote",
        )

    def test_no_remote(self) -> None:
        """Without a remote there is nothing to do."""
        self.assertEqual(self.refused(), "--remote is missing; give it, for example --remote homer.example:9060")

    def test_contradictions(self) -> None:
        """Options that contradict each other."""
        for words, line in (
            (["-r", "a:1", "-r", "tcp:A:1"], "--remote tcp:a:1: is given twice"),
            (["-r", "a:1", "-l", "9060", "-l", ":9060"], "--listen tcp:9060: overlaps --listen tcp:9060"),
            (["-r", "a:1", "--prom", "9060"], "--prom tcp:9060: overlaps --listen tcp:9060"),
            (["-r", "a:1", "--forget", "A:1"], "--forget tcp:a:1: is also a --remote"),
            (["-r", "a:1", "--convert", "off"], "--convert off: HEP 1 and 2 can go on as they are"),
            (["-r", "udp:a:1", "--convert", "off", "--filter", "a"], "--convert off: --filter looks into HEP 3 only"),
            (["-r", "udp:a:1", "--convert", "off", "--auth-key", "a"], "--convert off: --auth-key looks into HEP 3"),
            (["-s", "-r", "tls:a:1:caFile=a"], "--remote tls:a:1: caFile means nothing with --skip-verify"),
        ):
            said = self.refused(*words)
            self.assertTrue(said.startswith(line), said)
            self.assertIn("; ", said)


class HelpTests(SynchronousTestCase):
    """What ``--help`` and ``--version`` print."""

    def printed(self, word: str) -> str:
        """What an option prints before it ends the process well."""
        out = StringIO()
        self.patch(sys, "stdout", out)
        stop = self.assertRaises(SystemExit, Options().parseOptions, [word])
        self.assertEqual(stop.code, 0)
        return out.getvalue()

    def test_everything_is_told(self) -> None:
        """Each option stands there with all its names, its value's name and its default."""
        text = " ".join(self.printed("--help").split())
        self.assertEqual(text, " ".join(self.printed("-h").split()))
        for option in OPTIONS:
            self.assertIn(f"--{option.name} {option.metavar}".rstrip(), text)
            for name in filter(None, (option.short, option.alias)):
                self.assertIn(f"-{name}", text)
            if option.defaults:
                self.assertIn(f"default {' and '.join(option.defaults)}".replace("-oldest", ""), text)
        for word in ("--version", "--help", "Example", "powers of 1000"):
            self.assertIn(word, text)

    def test_fits_the_terminal(self) -> None:
        """No line is longer than the terminal is wide, as far as that is possible."""
        for columns in ("60", "100"):
            self.patch(os, "environ", {**os.environ, "COLUMNS": columns})
            options = Options().getUsage().partition("\nSIZE")[0]
            self.assertLessEqual(max(map(len, options.splitlines())), int(columns))

    def test_version(self) -> None:
        """The version is hfp's, Twisted's and Python's, on one line."""
        self.assertRegex(self.printed("--version"), r"\Ahfp [\d.]+\S*, Twisted [\d.]+\S*, Python 3\.\d+\.\d+\n\Z")

    def test_table_is_sound(self) -> None:
        """No name is given twice, and each setting is made by an option."""
        names = [name for option in OPTIONS for name in (option.name, option.alias, option.short) if name]
        self.assertEqual(len(names), len(set(names)))
        settings = {option.setting for option in OPTIONS} - {"protocol", "skip_verify", "ipf", "ipfa"}
        self.assertEqual(settings, {field.name for field in Settings.__attrs_attrs__})
