/* Sends HEP packets over TCP, as fast as one thread can or at a given rate.
 *
 *     generator PORT CONNECTIONS PACKET_FILE STAMP_OFFSET
 *
 * It connects to 127.0.0.1:PORT, says "ready", and obeys lines on standard input:
 *
 *     send COUNT PER_WRITE RATE FIRST
 *
 * writes COUNT packets, PER_WRITE of them in each write(), going round the connections with each write and starting at
 * the first. RATE is in packets per second, 0 for no limit; FIRST is the first sequence number. When all is written it
 * says
 *
 *     sent STARTED_NS ENDED_NS LAG_NS CPU_NS
 *
 * (CLOCK_MONOTONIC; LAG_NS is how far the worst write was behind its schedule, CPU_NS the CPU time of the sending.)
 * The connections stay open until standard input ends.
 */
#define _GNU_SOURCE
#include "stamp.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static char packet[PACKET_LIMIT];
static size_t size, stamp;
static int connections, *sockets;

static void fail(const char *what)
{
    fprintf(stderr, "generator: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void connect_all(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockets = calloc((size_t)connections, sizeof *sockets);
    for (int i = 0; i < connections; i++) {
        sockets[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (sockets[i] < 0 || connect(sockets[i], (void *)&to, sizeof to))
            fail("connect");
        setsockopt(sockets[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
}

static void write_all(int fd, const char *octets, size_t left)
{
    while (left) {
        ssize_t n = send(fd, octets, left, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            fail("send");
        }
        octets += n;
        left -= (size_t)n;
    }
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
            struct timespec t = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)};
            while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
                ;
            at = now_ns(CLOCK_MONOTONIC);
            if (at - due > lag)
                lag = at - due;
        }
        for (int i = 0; i < n; i++) {
            char *mark = buffer + (size_t)i * size + stamp;
            put_hex(mark, SEQUENCE_DIGITS, sequence++);
            if (at)
                put_hex(mark + TIME_AT, TIME_DIGITS, at);
        }
        write_all(sockets[next], buffer, (size_t)n * size);
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

    if (argc != 5) {
        fprintf(stderr, "usage: generator PORT CONNECTIONS PACKET_FILE STAMP_OFFSET\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    prctl(PR_SET_TIMERSLACK, 1); /* the default of 50 us would be jitter in the schedule */
    connections = atoi(argv[2]);
    size = load_packet(argv[3], packet);
    stamp = (size_t)atol(argv[4]);
    connect_all(atoi(argv[1]));
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
