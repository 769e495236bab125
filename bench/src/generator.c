/* Sends HEP packets over TCP, TLS or UDP, as fast as one thread can or at a given rate.
 *
 *     generator TRANSPORT PORT CONNECTIONS PACKET_FILE STAMP_OFFSET
 *
 * TRANSPORT is tcp, udp (where a connection is a socket, and a write a datagram), or, for generator-tls only, tls (where
 * a write is a record). It connects to 127.0.0.1:PORT, says "ready", and obeys lines on standard input:
 *
 *     send COUNT PER_WRITE RATE FIRST
 *
 * writes COUNT packets, PER_WRITE of them in each write(), going round the connections with each write and starting at
 * the first. RATE is in packets per second, 0 for no limit: each write then has its own time, evenly spaced, and what is
 * late is sent at once, so that the rate holds; FIRST is the first sequence number. When all is written it says
 *
 *     sent STARTED_NS ENDED_NS LAG_NS CPU_NS
 *
 * (CLOCK_MONOTONIC; LAG_NS is how far the worst write was behind its schedule, CPU_NS the CPU time of the sending.)
 * The connections stay open until standard input ends.
 */
#define _GNU_SOURCE
#include "stamp.h"
#include "wire.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/prctl.h>

/* Shorter waits are spent awake: to sleep and wake up again can take 20 us of CPU time on a virtual machine, and then
 * 50,000 writes per second would be the most. */
enum { SHORTEST_SLEEP_NS = 30000 };

static char packet[PACKET_LIMIT];
static size_t size, stamp;
static int connections;
static struct wire *wires;

static void fail(const char *what)
{
    fprintf(stderr, "generator: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void connect_all(const char *transport, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1, is_udp = !strcmp(transport, "udp");
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    wires = calloc((size_t)connections, sizeof *wires);
    for (struct wire *w = wires; w < wires + connections; w++) {
        w->fd = socket(AF_INET, is_udp ? SOCK_DGRAM : SOCK_STREAM, 0);
        if (w->fd < 0 || connect(w->fd, (void *)&to, sizeof to))
            fail("connect");
        if (!is_udp)
            setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (!strcmp(transport, "tls"))
            wire_secure_client(w);
    }
}

static void write_all(struct wire *w, const char *octets, size_t left)
{
    while (left) {
        ssize_t n = wire_write(w, octets, left);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            fail("send");
        }
        octets += n;
        left -= (size_t)n;
    }
}

/* Returns when it is that late; what runs on the same CPU (the collector, maybe) is let past meanwhile. */
static uint64_t wait_until(uint64_t due)
{
    struct timespec t = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)};
    uint64_t now = now_ns(CLOCK_MONOTONIC);
    if (now + SHORTEST_SLEEP_NS < due) {
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
            ;
        now = now_ns(CLOCK_MONOTONIC);
    }
    while (now < due) {
        sched_yield();
        now = now_ns(CLOCK_MONOTONIC);
    }
    return now;
}

static void send_packets(long count, int per_write, double rate, uint64_t sequence)
{
    char *buffer = malloc(size * (size_t)per_write);
    uint64_t lag = 0, due = 0, cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID), started;
    double step = rate > 0 ? 1e9 * per_write / rate : 0, offset = 0;
    int next = 0;

    for (int i = 0; i < per_write; i++)
        memcpy(buffer + (size_t)i * size, packet, size);
    started = now_ns(CLOCK_MONOTONIC);
    while (count > 0) {
        int n = count < per_write ? (int)count : per_write;
        uint64_t at = 0;
        if (rate > 0) {
            due = started + (uint64_t)offset;
            offset += step;
            at = wait_until(due);
            if (at - due > lag)
                lag = at - due;
        }
        for (int i = 0; i < n; i++) {
            char *mark = buffer + (size_t)i * size + stamp;
            put_hex(mark, SEQUENCE_DIGITS, sequence++);
            if (at)
                put_hex(mark + TIME_AT, TIME_DIGITS, at);
        }
        write_all(&wires[next], buffer, (size_t)n * size);
        count -= n;
        if (++next == connections)
            next = 0;
    }
    printf("sent %llu %llu %llu %llu\n", (unsigned long long)started, (unsigned long long)now_ns(CLOCK_MONOTONIC),
           (unsigned long long)lag, (unsigned long long)(now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu));
    free(buffer);
}

int main(int argc, char **argv)
{
    char line[128];
    long count;
    int per_write;
    double rate;
    unsigned long long first;

    if (argc != 6 || (strcmp(argv[1], "tcp") && strcmp(argv[1], "udp") && strcmp(argv[1], "tls"))) {
        fprintf(stderr, "usage: generator tcp|udp|tls PORT CONNECTIONS PACKET_FILE STAMP_OFFSET\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    prctl(PR_SET_TIMERSLACK, 1); /* the default of 50 us would be jitter in the schedule */
    connections = atoi(argv[3]);
    size = load_packet(argv[4], packet);
    stamp = (size_t)atol(argv[5]);
    connect_all(argv[1], atoi(argv[2]));
    puts("ready");
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "send %ld %d %lf %llu", &count, &per_write, &rate, &first) != 4 || count < 1 || per_write < 1) {
            fprintf(stderr, "generator: not understood: %s", line);
            return 2;
        }
        send_packets(count, per_write, rate, first);
    }
    return 0;
}
