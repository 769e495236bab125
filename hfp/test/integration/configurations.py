"""
What the telephony programs of the tests are told: Kamailio's configurations and sipp's scenarios, as text.

``telephony`` fills in the addresses and starts the programs.  What stands here was tried with Kamailio 5.6.3 and
sipp 3.6.1; why a line is as it is stands beside it.
"""

from __future__ import annotations

_GENERAL = """\
#!KAMAILIO
debug=2
log_stderror=yes
# One process that reads: several would take datagrams in any order.
children=1
tcp_children=1
auto_aliases=no
dns=no
rev_dns=no
use_dns_cache=off
"""

_TLS = """\
enable_tls=yes
listen=tls:{host}:{tls_port}
loadmodule "tls.so"
modparam("tls", "certificate", "{certificate}")
modparam("tls", "private_key", "{private_key}")
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "ca_list", "{ca_file}")
modparam("tls", "verify_certificate", 1)
modparam("tls", "require_certificate", {require})
"""

#: A stateful SIP proxy that traces all it sends and receives.  Its own "100 Trying" and 404 are traced as well; an ACK
#: to a reply without state (the 404) is traced twice.
PROXY = (
    _GENERAL
    + """\
listen=udp:{host}:{port}
listen=tcp:{host}:{port}
{tls}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "siptrace.so"
modparam("siptrace", "duplicate_uri", "sip:{host}:{collector};transport={transport}")
modparam("siptrace", "hep_mode_on", 1)
modparam("siptrace", "hep_version", {version})
modparam("siptrace", "hep_capture_id", {agent})
modparam("siptrace", "trace_to_database", 0)
modparam("siptrace", "trace_on", 1)
modparam("siptrace", "trace_mode", 1)

request_route {{
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
        sl_send_reply("404", "Not Here"); exit;
    }}
    if ($rU == "nobody") {{ sl_send_reply("404", "Not Found"); exit; }}
    record_route();
    $du = "sip:{answering}";
    t_relay();
}}
"""
)

#: A receiver of HEP 3 that writes a line for each packet and stores nothing.
RECEIVER = (
    _GENERAL
    + """\
listen=udp:{host}:{port}
listen=tcp:{host}:{port}
{tls}
# Neither is enough alone: a packet has no Content-Length, and without the second the connection is closed.
tcp_accept_hep3=1
tcp_accept_no_cl=yes
# A packet that is larger than this never ends.
tcp_rd_buf_size=131072
tcp_connection_lifetime=3600
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "db_text.so"
loadmodule "sipcapture.so"
modparam("xlog", "buf_size", 8192)
modparam("db_text", "db_mode", 1)
# sipcapture wants a database, though nothing is written to it.
modparam("sipcapture", "db_url", "text://{directory}")
modparam("sipcapture", "insert_retry_timeout", 0)
modparam("sipcapture", "capture_on", 0)
modparam("sipcapture", "hep_capture_on", 1)
modparam("sipcapture", "nonsip_hook", 1)

event_route[sipcapture:request] {{
    xlog("L_NOTICE", "HEPRX via=$proto version=$hep(version) family=$hep(0x001) protocol=$hep(0x002) \
source4=$hep(0x003) destination4=$hep(0x004) source6=$hep(0x005) destination6=$hep(0x006) source_port=$hep(0x007) \
destination_port=$hep(0x008) seconds=$hep(0x009) microseconds=$hep(0x00a) kind=$hep(0x00b) agent=$hep(0x00c) \
octets=$(hep(0x00f){{s.len}}) digest=$(hep(0x00f){{s.sha256}})\\n");
    return 0;
}}
request_route {{ xlog("L_NOTICE", "NOTHEP $rm\\n"); exit; }}
reply_route {{ xlog("L_NOTICE", "NOTHEP $rs\\n"); drop; }}
"""
)


def tls(**values: object) -> str:
    """The part of a configuration that turns TLS on; see ``_TLS`` for the values."""
    return _TLS.format(**values)


def _scenario(name: str, body: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="{name}">\n{body}</scenario>\n'


def _message(start: str, more: str = "", body: str = "") -> str:
    """A message as sipp sends it: it begins behind an empty line."""
    return f"\n{start}\n{more}Content-Length: {'[len]' if body else '0'}\n\n{body}"


def _send(message: str, attributes: str = "") -> str:
    return f"<send{attributes}><![CDATA[\n{message}\n]]></send>\n"


def _request(method: str, to: str, number: int, more: str = "", body: str = "", *, tag: str = "") -> str:
    return _message(
        f"{method} {to} SIP/2.0",
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n"
        "From: caller <sip:caller@[local_ip]:[local_port]>;tag=[pid]from[call_number]\n"
        f"To: <sip:[service]@[remote_ip]:[remote_port]>{tag}\n"
        f"Call-ID: [call_id]\nCSeq: {number} {method}\n"
        "Contact: <sip:caller@[local_ip]:[local_port];transport=[transport]>\nMax-Forwards: 70\n" + more,
        body,
    )


def _reply(status: str, more: str = "", body: str = "", *, tag: str = ";tag=[pid]to[call_number]") -> str:
    return _message(
        f"SIP/2.0 {status}", f"[last_Via:]\n[last_From:]\n[last_To:]{tag}\n[last_Call-ID:]\n[last_CSeq:]\n{more}", body
    )


_OFFER = """\
v=0
o=user1 53655765 2353687637 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[local_ip_type] [local_ip]
t=0 0
m=audio 6000 RTP/AVP 0 8
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
"""
_SDP = "Content-Type: application/sdp\n"
_TO = "sip:[service]@[remote_ip]:[remote_port]"
_SUBJECT = "Subject: Gr\u00fc\u00dfe, \u65e5\u672c\u8a9e\n"
_DIALOG = "[last_Record-Route:]\nContact: <sip:[local_ip]:[local_port];transport=[transport]>\n"

#: A call that is taken and ended by the caller: INVITE, 100, 180, 200, ACK, BYE, 200.
CALL = _scenario(
    "call",
    _send(_request("INVITE", _TO, 1, _SUBJECT + _SDP, _OFFER), ' retrans="500"')
    + '<recv response="100" optional="true"></recv>\n<recv response="180" optional="true"></recv>\n'
    + '<recv response="200" rrs="true"></recv>\n'
    + _send(_request("ACK", "[next_url]", 1, "[routes]\n", tag="[peer_tag_param]"))
    + '<pause milliseconds="20"/>\n'
    + _send(_request("BYE", "[next_url]", 2, "[routes]\n", tag="[peer_tag_param]"), ' retrans="500"')
    + '<recv response="200"></recv>\n',
)

#: The other side of it.
ANSWER = _scenario(
    "answer",
    '<recv request="INVITE" rrs="true"></recv>\n'
    + _send(_reply("180 Ringing", _DIALOG))
    + _send(_reply("200 OK", _DIALOG + _SDP, _OFFER), ' retrans="500"')
    + '<recv request="ACK"></recv>\n<recv request="BYE"></recv>\n'
    + _send(_reply("200 OK", tag="")),
)

#: A call to somebody whom the proxy does not know: INVITE, 404, ACK.
REFUSED = _scenario(
    "refused",
    _send(_request("INVITE", _TO, 1, _SDP, _OFFER), ' retrans="500"')
    + '<recv response="404"></recv>\n'
    + _send(_request("ACK", _TO, 1, tag="[peer_tag_param]").replace("[branch]", "[branch-2]")),
)
