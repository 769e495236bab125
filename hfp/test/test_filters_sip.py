"""Tests for the SIP filter language: `hfp.filters.sip.expression`, `functions`, `reading` and `problem`."""

from __future__ import annotations

import socket
from itertools import product

from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy, binary, lists, one_of, recursive, sampled_from, text
from twisted.trial.unittest import SynchronousTestCase

from hfp.errors import UsageProblem
from hfp.filters import sip
from hfp.filters.sip import Expression, ExpressionProblem, SipMessage, Subject, compile_expression
from hfp.filters.sip.functions import _FUNCTIONS
from hfp.filters.sip.patterns import Machine, default_machine
from hfp.filters.sip.reading import MOST_CHARACTERS, MOST_DEPTH, Kind, Node, read
from hfp.test.test_filters_sip_message import INVITE, captured_sip

MACHINES = list(Machine) if default_machine() is Machine.RE2 else [Machine.RE]

RINGING = (
    b"SIP/2.0 180 Ringing\r\n"
    b"v: SIP/2.0/UDP one.example\r\n"
    b"v: SIP/2.0/UDP two.example\r\n"
    b"f: Alice <sip:alice@atlanta.example>;tag=1\r\n"
    b"t: Bob <sip:bob@biloxi.example>;\r\n tag=2\r\n"
    b"i: a84b4c76e66710\r\n"
    b"CSeq: 314159 INVITE\r\n"
    b"Server: Box/1.0\r\n"
    b"l: 0\r\n"
    b"\r\n"
)
OPTIONS = (
    b"OPTIONS sip:biloxi.example SIP/2.0\r\n"
    b"To: <sip:biloxi.example>\r\n"
    b"From: <sip:monitor@one.example>;tag=3\r\n"
    b"Call-ID: 77@one.example\r\n"
    b"CSeq: 1 OPTIONS\r\n"
    b"User-Agent: friendly-scanner\r\n"
    b"Subject:\r\n"
    b"\r\n"
)
KINDS = {"INVITE": INVITE, "180": RINGING, "OPTIONS": OPTIONS}

#: Pieces that expressions are made of.
_PIECES = [
    *(
        "(",
        ")",
        '"',
        " ",
        "\n",
        "\\",
        *_FUNCTIONS,
        "INVITE",
        "200",
        "4xx",
        '"a"',
        '"a+"',
        '"(a+)+"',
        '"10.0.0.0/8"',
        "é",
    ),
    *('(to "a")', "(all", "(not", "(any", '"["'),
]


def subject(payload: bytes, source: str | None = None, destination: str | None = None) -> Subject:
    """What an expression is asked about."""
    return Subject(SipMessage.parse(payload), packed(source), packed(destination))


def packed(address: str | None) -> bytes | None:
    """An address as HEP has it."""
    if address is None:
        return None
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


class LanguageTestCase(SynchronousTestCase):
    """What is asked in many tests."""

    def assert_matches(self, expression: str, *expected: str) -> None:
        """Of the three messages, an expression matches these; with each machine."""
        for machine in MACHINES:
            compiled = compile_expression(expression, machine)
            found = [kind for kind, payload in KINDS.items() if compiled.matches(subject(payload))]
            self.assertEqual(found, list(expected), (expression, machine))


class FunctionTests(LanguageTestCase):
    """What each function means."""

    def test_nothing(self) -> None:
        """An expression of nothing means every message."""
        for expression in ("", " ", "\n\t "):
            self.assert_matches(expression, "INVITE", "180", "OPTIONS")

    def test_request_and_response(self) -> None:
        """They can be written with and without parentheses."""
        for expression in ("request", "(request)", " ( request ) "):
            self.assert_matches(expression, "INVITE", "OPTIONS")
        for expression in ("response", "(response)"):
            self.assert_matches(expression, "180")

    def test_status(self) -> None:
        """Codes and classes, in any number; requests have none."""
        for arguments, expected in (
            ("180", ["180"]),
            ("181", []),
            ("100 180 183", ["180"]),
            ("1xx", ["180"]),
            ("1XX 2xx", ["180"]),
            ("2xx", []),
            ("200 1xx", ["180"]),
            ("100 699", []),
        ):
            self.assert_matches(f"(status {arguments})", *expected)
        six = compile_expression("(status 6xx)")
        for status, expected_ in ((b"599", False), (b"600", True), (b"699", True), (b"700", False)):
            self.assertEqual(six.matches(subject(b"SIP/2.0 " + status)), expected_, status)

    def test_method(self) -> None:
        """Of a response the method is that of the request that it answers; there are two names for it."""
        for name in ("method", "methods"):
            self.assert_matches(f"({name} INVITE)", "INVITE", "180")
            self.assert_matches(f"({name} options)", "OPTIONS")
            self.assert_matches(f'({name} Bye "Options" "INFO")', "OPTIONS")
            self.assert_matches(f"(all request ({name} INVITE))", "INVITE")

    def test_every_method(self) -> None:
        """Every registered method needs no quotes; an extension needs them."""
        for method in (
            *(
                "INVITE",
                "ACK",
                "BYE",
                "CANCEL",
                "OPTIONS",
                "REGISTER",
                "PRACK",
                "SUBSCRIBE",
                "NOTIFY",
                "PUBLISH",
                "INFO",
            ),
            *("REFER", "MESSAGE", "UPDATE", '"SERVICE"', '"x-Y!"'),
        ):
            compiled = compile_expression(f"(method {method})")
            self.assertTrue(compiled.matches(subject(f"{method} a SIP/2.0".replace('"', "").encode())), method)
            self.assertFalse(compiled.matches(subject(b"ALL a SIP/2.0")), method)

    def test_cseq_method(self) -> None:
        """The CSeq of requests too."""
        self.assert_matches("(cseq-method invite)", "INVITE", "180")
        self.assert_matches('(cseq-method "OPTIONS" BYE)', "OPTIONS")
        wrong = subject(b"BYE a SIP/2.0\r\nCSeq: 1 ACK\r\n\r\n")
        self.assertTrue(compile_expression("(all (method BYE) (cseq-method ACK))").matches(wrong))

    def test_hasheader(self) -> None:
        """In any case and form, and with no value too."""
        self.assert_matches('(hasheader "max-forwards")', "INVITE")
        self.assert_matches('(hasheader "VIA")', "INVITE", "180")
        self.assert_matches('(hasheader "v")', "INVITE", "180")
        self.assert_matches('(hasheader "Subject")', "OPTIONS")
        self.assert_matches('(hasheader "X")')

    def test_header(self) -> None:
        """Every instance is tried, in any case and form, with folded lines unfolded."""
        self.assert_matches('(header "Via" "two[.]example")', "INVITE", "180")
        self.assert_matches('(header "v" "^SIP/2[.]0/UDP one")', "INVITE", "180")
        self.assert_matches('(header "CONTACT" "alice@.*example>$")', "INVITE")
        self.assert_matches('(header "to" "example>; tag=2$")', "180")
        self.assert_matches('(header "Subject" "^$")', "OPTIONS")
        self.assert_matches('(header "Contact" "^$")')
        self.assert_matches('(header "Via" "one.*two")')

    def test_named_headers(self) -> None:
        """The functions for single headers."""
        self.assert_matches('(to "^Bob")', "INVITE", "180")
        self.assert_matches('(to "alice")')
        self.assert_matches('(from "alice")', "INVITE", "180")
        self.assert_matches('(from "Bob")')
        self.assert_matches('(call-id "^a84b4c76e66710$")', "INVITE", "180")
        self.assert_matches('(call-id "@one")', "OPTIONS")
        self.assert_matches('(user-agent "(?i)SCANNER")', "OPTIONS")
        self.assert_matches('(user-agent "Box")')

    def test_uri(self) -> None:
        """The request's URI, not that of a header; responses have none."""
        self.assert_matches('(uri "^sip:bob@biloxi")', "INVITE")
        self.assert_matches('(uri "")', "INVITE", "OPTIONS")
        self.assert_matches('(uri "alice|tag")')

    def test_body(self) -> None:
        """What is behind the headers."""
        self.assert_matches('(body "^v=0")', "INVITE")
        self.assert_matches('(body "Via")')
        self.assert_matches('(body "^$")', "180", "OPTIONS")

    def test_message(self) -> None:
        """All of it, from the start line to the end of the body."""
        self.assert_matches('(message "^INVITE")', "INVITE")
        self.assert_matches('(message "(?s)^SIP/2.0 180.*Server")', "180")
        self.assert_matches('(message "v=0")', "INVITE")
        self.assert_matches('(message "shazam")')

    def test_addresses(self) -> None:
        """Networks and single addresses of both families, source and destination."""
        for name, arguments, address, expected in (
            ("src", '"10.0.0.0/8"', "10.255.0.1", True),
            ("src", '"10.0.0.0/8"', "11.0.0.1", False),
            ("src", '"10.1.2.3"', "10.1.2.3", True),
            ("src", '"10.1.2.3"', "10.1.2.4", False),
            ("src", '"192.0.2.0/24" "10.0.0.0/9"', "10.127.0.1", True),
            ("src", '"192.0.2.0/24" "10.0.0.0/9"', "10.128.0.1", False),
            ("src", '"0.0.0.0/0"', "203.0.113.9", True),
            ("src", '"0.0.0.0/0"', "2001:db8::1", False),
            ("src", '"::/0"', "2001:db8::1", True),
            ("src", '"2001:DB8::/32" "10.0.0.0/8"', "2001:db8:1::1", True),
            ("src", '"2001:db8::/32" "10.0.0.0/8"', "2001:db9::1", False),
            ("src", '"2001:db8::1"', "2001:db8::1", True),
            ("src", '"10.0.0.0/8"', "::ffff:10.0.0.1", True),
            ("src", '"::ffff:10.0.0.0/104"', "10.0.0.1", True),
            ("src", '"::ffff:10.0.0.0/104"', "11.0.0.1", False),
            ("src", '"::10.0.0.0/104"', "10.0.0.1", False),
            ("src", '"10.0.0.0/8"', None, False),
            ("dst", '"10.0.0.0/8"', "10.0.0.1", True),
            ("dst", '"10.0.0.0/8"', "11.0.0.1", False),
            ("dst", '"10.0.0.0/8"', None, False),
        ):
            compiled = compile_expression(f"({name} {arguments})")
            # The other side is one that would decide otherwise.
            other = "11.0.0.1" if expected else "10.0.0.1"
            sides = (address, other) if name == "src" else (other, address)
            self.assertEqual(compiled.matches(subject(INVITE, *sides)), expected, (name, arguments, address))

    def test_logic(self) -> None:
        """All, any and not, of one, two and many."""
        for count in range(1, 5):
            for values in product((False, True), repeat=count):
                arguments = " ".join("request" if value else "response" for value in values)
                for function, expected in (("all", all(values)), ("any", any(values))):
                    compiled = compile_expression(f"({function} {arguments})")
                    self.assertEqual(compiled.matches(subject(INVITE)), expected, (function, arguments))
        self.assert_matches("(not request)", "180")
        self.assert_matches("(not (not (request)))", "INVITE", "OPTIONS")
        self.assert_matches("(not (any (method OPTIONS) response))", "INVITE")

    def test_examples_of_sip_capture(self) -> None:
        """The examples in the manual that the language comes from mean what it says."""
        self.assert_matches("(not (status 200))", "INVITE", "180", "OPTIONS")
        self.assert_matches("(all (method invite) (status 180))", "180")
        self.assert_matches('(all (to "bob@biloxi.example") (method invite bye) (any request (status 200)))', "INVITE")
        self.assert_matches(
            '(all request\n (method invite publish)\n\t (not (body "don\'t capture"))\n'
            ' (any (header "contact" "alice@.*atlanta.example")\n (hasheader "magic")\n (message "secrets")))',
            "INVITE",
        )

    def test_no_sip(self) -> None:
        """No expression matches what is no SIP, not even the empty one or a negation."""
        for expression in ("", "request", "(not request)", '(src "10.0.0.0/8")', '(not (message "a"))'):
            self.assertFalse(compile_expression(expression).matches(subject(b"HEP PING", "10.0.0.1")), expression)

    def test_strings(self) -> None:
        """A backslash belongs to the regular expression, and keeps a quote from ending it."""
        quoted = subject(b'BYE a SIP/2.0\r\nTo: "Bob (1)" <sip:b>\r\nA: \\ \r\n\r\n')
        for expression in (r'(to "^\"Bob \(\d\)\" ")', r'(header "A" "^\\$")', '(to "^.Bob [(]1[)]")'):
            self.assertTrue(compile_expression(expression).matches(quoted), expression)

    def test_spacing(self) -> None:
        """White space is needed only where two words would be one."""
        self.assert_matches('(all(header"Via""one")request(not(status 180)))', "INVITE")
        self.assert_matches("\n( all\n\trequest\r\n( method\tINVITE ) )\n", "INVITE")

    def test_captured(self) -> None:
        """Of real messages, each is a request or a response, and has a Call-ID that can be found again."""
        request, call = compile_expression("request"), compile_expression('(all (hasheader "i") (call-id ""))')
        response = compile_expression("(all response (status 1xx 2xx 3xx 4xx 5xx 6xx))")
        count = 0
        for name, payload in captured_sip():
            asked = subject(payload)
            if asked.message is not None:
                count += 1
                self.assertNotEqual(request.matches(asked), response.matches(asked), name)
                self.assertEqual(call.matches(asked), asked.message.call_id is not None, name)
        self.assertGreater(count, 100)


class ProblemTests(SynchronousTestCase):
    """What is refused, with the place and a cure."""

    def problem(self, expression: str, machine: Machine = Machine.RE) -> ExpressionProblem:
        """What is wrong with an expression."""
        with self.assertRaises(ExpressionProblem) as caught:
            compile_expression(expression, machine)
        problem: ExpressionProblem = caught.exception
        return problem

    def test_places(self) -> None:
        """Each kind of mistake; the caret is under the tilde's place."""
        for marked, part in (
            ("~()", "this list is empty"),
            ("(not ~())", "this list is empty"),
            ("~nott", "there is no function nott; did you mean not?"),
            ("(~Request)", "there is no function Request; did you mean request?"),
            ('(~hasheaders "a")', "did you mean hasheader?"),
            ("(any request ~xyzzy)", "there is no function xyzzy; there are request, response, status"),
            ("(not ~100)", "there is no function 100"),
            ("(~100)", "there is no function 100"),
            ('~"request"', "must be the name of a function, not a string"),
            ('(all ~"request")', "must be the name of a function, not a string"),
            ("(~(request))", "must be the name of a function, not a list"),
            ("request ~response", "the expression has ended before this; join several with (all ...)"),
            ("(request) ~(response)", "ended before this"),
            ('request ~"a"', "ended before this"),
            ("request~)", "this closes nothing"),
            ("~)", "this closes nothing"),
            ("(not request)~)", "this closes nothing"),
            ("~(all request", "this list has no end; close it with ')'"),
            ("(all ~(not request", "this list has no end"),
            ("(all ~(not (method BYE)", "this list has no end"),
            ("~(", "this list has no end"),
            ('(to ~"bob)', "this string has no end; close it with '\"'"),
            ('(to ~"bob\\")', "this string has no end"),
            ('~"', "this string has no end"),
            ("(request ~1)", "request wants no arguments; write request"),
            ("(response ~request)", "response wants no arguments"),
            ("(status~)", "status wants one argument or more; write (status 200 4xx)"),
            ("~status", "status wants one argument or more"),
            ("(method~)", "method wants one argument or more"),
            ("(methods~)", "methods wants one argument or more"),
            ("(cseq-method~)", "cseq-method wants one argument or more"),
            ("(hasheader~)", "hasheader wants one argument"),
            ('(hasheader "a" ~"b")', "hasheader wants one argument"),
            ("~header", "header wants two arguments"),
            ('(header "a"~)', "header wants two arguments"),
            ('(header "a" "b" ~"c")', "header wants two arguments"),
            ("(all~)", "all wants one argument or more"),
            ("(any ~all)", "all wants one argument or more"),
            ("(any~)", "any wants one argument or more"),
            ("(not~)", "not wants one argument;"),
            ("(not request ~response)", "not wants one argument;"),
            ("(src~)", "src wants one argument or more"),
            ("(dst~)", "dst wants one argument or more"),
            ("(status ~foo)", "this is no status"),
            ("(status 200 ~99)", "this is no status"),
            ("(status ~700)", "this is no status"),
            ("(status ~0xx)", "this is no status"),
            ("(status ~7xx)", "this is no status"),
            ("(status ~20x)", "this is no status"),
            ("(status ~2000)", "this is no status"),
            ("(status ~٢٠٠)", "this is no status"),
            ('(status ~"200")', "without quotes"),
            ("(status ~(200))", "this is no status"),
            ("(method ~INVTE)", "there is no method INVTE; did you mean INVITE?"),
            ("(method BYE ~SERVICE)", 'there is no method SERVICE; put an extension in quotes, "SERVICE"'),
            ("(method ~100)", "there is no method 100"),
            ("(method ~(INVITE))", "must be the name of a method"),
            ('(method "~A B")', "this is no name of a method"),
            ('(method "~")', "this is no name of a method"),
            ("(cseq-method ~FOO)", "there is no method FOO"),
            ("(hasheader ~via)", 'must be the name of a header in quotes; put it in quotes, "via"'),
            ("(hasheader ~100)", "must be the name of a header in quotes"),
            ("(hasheader ~(request))", "must be the name of a header in quotes"),
            ('(hasheader "~Via:")', "this is no name of a header; write it without the colon"),
            ('(hasheader "~")', "this is no name of a header"),
            ('(header ~100 "a")', "must be the name of a header in quotes"),
            ('(header "~a b" "a")', "this is no name of a header"),
            ('(header "via" ~100)', 'must be a regular expression in quotes; put it in quotes, "100"'),
            ("(to ~bob)", "must be a regular expression in quotes"),
            ("(from ~(request))", "must be a regular expression in quotes"),
            ("(body ~100)", "must be a regular expression in quotes"),
            ("(message ~a)", "must be a regular expression in quotes"),
            ("(uri ~a)", "must be a regular expression in quotes"),
            ("(user-agent ~a)", "must be a regular expression in quotes"),
            ("(call-id ~a)", "must be a regular expression in quotes"),
            ('(body "ab~[")', "bad regular expression: unterminated character set"),
            ('(header "via" "é~(")', "bad regular expression: missing )"),
            ('(to "\\"a~(?=b)")', "this kind of group is not known"),
            ('(message "~(a+)+b")', "could take for ever"),
            ('(message "~x.*a.*b.*c")', "too many wildcards"),
            ("(src ~10.0.0.0/8)", 'must be an address or a network in quotes; put it in quotes, "10.0.0.0/8"'),
            ('(src "10.0.0.0/8" "~10.0.0.0/33")', "this is no IP address or network"),
            ('(src "~10.1.0.0/8")', "this has address bits beyond its prefix; write 10.0.0.0/8 or 10.1.0.0"),
            ('(src "~2001:db8::1/32")', "write 2001:db8::/32 or 2001:db8::1"),
            ('(dst "~10.0.0.0/255.0.0.0")', "this is no IP address or network"),
            ('(dst "~10.0.0")', "this is no IP address or network"),
            ('(dst "~010.0.0.1")', "this is no IP address or network"),
            ('(dst "~fe80::1%eth0")', "this is no IP address or network"),
            ('(dst "~localhost")', "this is no IP address or network"),
            ('(dst "~")', "this is no IP address or network"),
            ("(" * MOST_DEPTH + "~(", "too deep"),
        ):
            expression = marked.replace("~", "", 1)
            problem = self.problem(expression)
            self.assertEqual((problem.at, problem.text), (marked.index("~"), expression), problem)
            self.assertIn(part, problem.message, marked)

    def test_depth(self) -> None:
        """As deep as is allowed compiles and decides."""
        depth = MOST_DEPTH - 1
        compiled = compile_expression("(not " * depth + "(request)" + ")" * depth)
        self.assertEqual(compiled.matches(subject(INVITE)), depth % 2 == 0)
        self.assertEqual(self.problem("(not " * MOST_DEPTH + "(request)" + ")" * MOST_DEPTH).at, 5 * MOST_DEPTH)

    def test_length(self) -> None:
        """As long as is allowed compiles; longer is refused, at the first character too many."""
        most = "(any" + " request" * ((MOST_CHARACTERS - 5) // 8) + ")"
        self.assertTrue(compile_expression(most).matches(subject(INVITE)))
        problem = self.problem("(any" + " request" * (MOST_CHARACTERS // 8) + ")")
        self.assertEqual(problem.at, MOST_CHARACTERS)
        self.assertIn(f"{MOST_CHARACTERS} is the most", problem.line)

    def test_text(self) -> None:
        """As text it is the message, the expression and a caret; it is the operator's mistake."""
        problem = self.problem("(all request (methd INVITE))")
        self.assertIsInstance(problem, UsageProblem)
        self.assertEqual(
            str(problem),
            "there is no function methd; did you mean method?\n(all request (methd INVITE))\n" + " " * 14 + "^",
        )
        self.assertEqual(problem.line, "there is no function methd; did you mean method? (column 15)")
        self.assertEqual(problem.column, 15)

    def test_several_lines(self) -> None:
        """Of an expression of several lines it shows the one in question, with what is not printable as spaces."""
        problem = self.problem("(all request\n\t(foo)\n\tresponse)")
        self.assertEqual(str(problem).split("\n")[1:], [" (foo)", "  ^"])
        self.assertIn("(line 2, column 3)", problem.line)
        self.assertNotIn("\n", problem.line)

    def test_long_expression(self) -> None:
        """Of a long expression it shows what is around the place."""
        for before, after in ((500, 500), (0, 500), (500, 0), (36, 40)):
            problem = self.problem("(any " + "request " * before + "bad " + "request " * after + ")")
            _, shown, caret = str(problem).split("\n")
            self.assertTrue(72 < len(shown) < 80, shown)
            self.assertEqual(shown[caret.index("^") :][:4], "bad ")
            self.assertEqual((shown.startswith("..."), shown.endswith("...")), (before > 9, after > 9), shown)

    def test_long_words(self) -> None:
        """A message never gets long or has anything unprintable, however long the word is that it names."""
        for expression in ("x" * 5000, "(method " + "x" * 5000 + ")", "(to " + "\x1b" * 5000 + ")"):
            line = self.problem(expression).line
            self.assertLess(len(line), 400)
            self.assertTrue(line.isprintable())

    def test_re2(self) -> None:
        """What is refused without RE2, for its cost alone, is not with it; what is wrong is wrong with either."""
        if Machine.RE2 in MACHINES:
            compile_expression('(to "(a+)+b")', Machine.RE2)
            self.assertEqual(self.problem('(to "a[")', Machine.RE2).at, 6)


class ExpressionTests(LanguageTestCase):
    """What a compiled expression says of itself."""

    def test_notes(self) -> None:
        """It tells of patterns that are not searched to the end, once of each, and only where that is so."""
        expression = '(all (to "bob") (from "a.*b") (to "a.*b") (body "m=video.*RTP"))'
        notes = compile_expression(expression, Machine.RE).notes
        self.assertEqual(len(notes), 2)
        self.assertRegex(notes[0], r'^"a\.\*b" is searched for in the first \d{4} octets .*hfp\[re2\]')
        self.assertIn('"m=video.*RTP"', notes[1])
        self.assertEqual(compile_expression("").notes, ())
        if Machine.RE2 in MACHINES:
            self.assertEqual(compile_expression(expression, Machine.RE2).notes, ())

    def test_text(self) -> None:
        """It keeps its text."""
        compiled = compile_expression(" (request) ")
        self.assertIsInstance(compiled, Expression)
        self.assertEqual((compiled.text, repr(compiled)), (" (request) ", "<Expression ' (request) '>"))

    def test_hostile_repeats(self) -> None:
        """A message with thousands of headers of a name costs no more than the pattern's stretch allows."""
        expression = compile_expression('(to "a.*b")', Machine.RE)
        self.assertFalse(expression.matches(subject(b"BYE a SIP/2.0\r\n" + b"t:aaa\r\n" * 9000 + b"t:ab\r\n")))
        self.assertTrue(expression.matches(subject(b"BYE a SIP/2.0\r\n" + b"t:aaa\r\n" * 90 + b"t:ab\r\n")))

    def test_public(self) -> None:
        """The public names are these."""
        self.assertEqual(
            set(sip.__all__), {"Expression", "ExpressionProblem", "SipMessage", "Subject", "compile_expression"}
        )


def _written(node: Node) -> str:
    if node.kind is Kind.LIST:
        return "(" + " ".join(_written(item) for item in node.items) + ")"
    return f'"{node.content}"' if node.kind is Kind.STRING else node.content


def _plain(node: Node) -> object:
    return [_plain(item) for item in node.items] if node.kind is Kind.LIST else (node.kind, node.content)


_ATOMS: SearchStrategy[Node] = one_of(
    text(sampled_from("ab1-é;#'"), min_size=1, max_size=5).map(lambda word: Node(Kind.WORD, 0, 0, word)),
    lists(sampled_from(["a", " ", "(", ")", '\\"', "\\\\", "\\d", "\n", "é"]), max_size=6).map(
        lambda pieces: Node(Kind.STRING, 0, 0, "".join(pieces))
    ),
)
_NODES = recursive(
    _ATOMS, lambda inner: lists(inner, max_size=4).map(lambda items: Node(Kind.LIST, 0, 0, "", items)), max_leaves=20
)


class ReadingTests(SynchronousTestCase):
    """Any text at all."""

    @given(_NODES)
    @settings(max_examples=200, deadline=None)
    def test_reads_what_was_written(self, node: Node) -> None:
        """Words, strings and lists are read as they were written, and each is where it says."""
        expression = _written(node)
        found = read(expression)
        assert found is not None
        self.assertEqual(_plain(found), _plain(node))
        unseen = [found]
        while unseen:
            each = unseen.pop()
            unseen += each.items
            self.assertEqual(_plain(read(expression[each.at : each.end + 1]) or each), _plain(each))

    @given(one_of(text(max_size=60), lists(sampled_from(_PIECES), max_size=20).map(" ".join)), binary(max_size=60))
    @settings(max_examples=300, deadline=None)
    def test_any_text(self, expression: str, payload: bytes) -> None:
        """Any text compiles, or is refused with a place within it; what compiles answers about any octets."""
        for machine in MACHINES:
            try:
                compiled = compile_expression(expression, machine)
            except ExpressionProblem as problem:
                self.assertTrue(0 <= problem.at <= len(expression))
                self.assertEqual(len(str(problem).split("\n")), 3)
                self.assertNotIn("\n", problem.line)
            else:
                for each in (INVITE, RINGING, payload):
                    self.assertIsInstance(compiled.matches(subject(each, "10.0.0.1")), bool)
