/* Takes HEP packets over TCP or TLS and proves what came: every packet is compared with the one that should come.
 *
 *     collector PORT PACKET_FILE STAMP_OFFSET [CERTIFICATE_FILE]
 *
 * With a certificate, its key in the same file, it speaks TLS (collector-tls only). It listens on 127.0.0.1:PORT, says
 * "ready", and obeys lines on standard input, until that ends:
 *
 *     expect COUNT PER_WRITE SENDERS FIRST
 *                                      forget what came, count from now; answers "expecting", and "complete NS" (the
 *                                      CLOCK_MONOTONIC of the read that brought the last) once COUNT different packets
 *                                      have come, numbered from FIRST
 *     report                           answers one line of JSON: octets, packets, unique, duplicates, disordered
 *                                      (older than the one before, of the same sender), altered (framed, but not as
 *                                      sent), broken_octets (in streams without a frame), unfinished_octets (of
 *                                      incomplete packets), connections, accepted_ns (of the first connection),
 *                                      first_ns, last_ns, cpu_ns, and latency_ns (percentiles, of stamped packets)
 *
 * It never answers a peer. A stream's packet that does not begin as the sent one does (magic and length) breaks it.
 */
#define _GNU_SOURCE
#include "stamp.h"
#include "wire.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>

enum { READ_OCTETS = 256 * 1024, EVENTS = 64, DESCRIPTORS = 65536 };

struct stream {
    struct wire wire;
    char *tail; /* the octets of a packet of which the rest is still to come */
    size_t tail_octets;
    int broken;
};

static char packet[PACKET_LIMIT], buffer[PACKET_LIMIT + READ_OCTETS];
static size_t size, stamp;
static struct stream streams[DESCRIPTORS];

static unsigned long long octets, packets, unique, duplicates, disordered, altered, broken_octets, unfinished_octets;
static unsigned long long connections, accepted_ns, first_ns, last_ns, expected, lowest;
static uint64_t cpu_before;
static uint64_t *latencies;
static size_t latency_count, latency_room;
static unsigned char *seen;
static uint64_t *newest; /* per sender: the highest sequence number that came, plus 1 */
static unsigned per_write = 1, senders = 1;

static void expect(unsigned long long count, unsigned packets_per_write, unsigned sender_count,
                   unsigned long long first)
{
    octets = packets = unique = duplicates = disordered = altered = broken_octets = 0;
    first_ns = last_ns = 0;
    latency_count = 0;
    expected = count;
    lowest = first;
    per_write = packets_per_write;
    senders = sender_count;
    free(seen);
    free(newest);
    seen = calloc(count / 8 + 1, 1);
    newest = calloc(senders, sizeof *newest);
    cpu_before = now_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static void keep_latency(uint64_t value)
{
    if (latency_count == latency_room) {
        latency_room = latency_room ? 2 * latency_room : 4096;
        latencies = realloc(latencies, latency_room * sizeof *latencies);
    }
    latencies[latency_count++] = value;
}

static void take_packet(const char *at, uint64_t now)
{
    const char *mark = at + stamp;
    size_t after = stamp + STAMP_OCTETS;
    uint64_t sequence = get_hex(mark, SEQUENCE_DIGITS), sent = get_hex(mark + TIME_AT, TIME_DIGITS);

    packets++;
    sequence -= lowest;
    if (sequence >= expected || memcmp(at, packet, stamp) || memcmp(at + after, packet + after, size - after)) {
        altered++;
        return;
    }
    if (seen[sequence / 8] & 1u << sequence % 8) {
        duplicates++;
        return;
    }
    seen[sequence / 8] |= (unsigned char)(1u << sequence % 8);
    uint64_t *last = &newest[sequence / per_write % senders];
    if (sequence < *last)
        disordered++;
    else
        *last = sequence + 1;
    if (sent && sent != UINT64_MAX)
        keep_latency(now - sent);
    if (++unique == expected)
        printf("complete %llu\n", (unsigned long long)now);
}

/* One read of a stream; returns 0 when the stream has ended. */
static int take(int fd)
{
    struct stream *s = &streams[fd];
    char *at = buffer;
    if (s->tail_octets)
        memcpy(buffer, s->tail, s->tail_octets);
    ssize_t n = wire_read(&s->wire, buffer + s->tail_octets, READ_OCTETS);
    if (n <= 0)
        return n < 0;
    last_ns = now_ns(CLOCK_MONOTONIC);
    if (!first_ns)
        first_ns = last_ns;
    octets += (unsigned long long)n;
    if (s->broken) {
        broken_octets += (unsigned long long)n;
        return 1;
    }
    size_t left = s->tail_octets + (size_t)n;
    unfinished_octets -= s->tail_octets;
    for (; left >= size; at += size, left -= size) {
        if (memcmp(at, packet, HEADER_OCTETS))
            break;
        take_packet(at, last_ns);
    }
    s->tail_octets = 0;
    if (left >= size || (left && memcmp(at, packet, left < HEADER_OCTETS ? left : HEADER_OCTETS))) {
        s->broken = 1;
        broken_octets += left;
    } else if (left) {
        if (!s->tail)
            s->tail = malloc(size);
        memcpy(s->tail, at, left);
        s->tail_octets = left;
        unfinished_octets += left;
    }
    return 1;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static unsigned long long percentile(double fraction)
{
    size_t at = (size_t)(fraction * (double)latency_count);
    return (unsigned long long)latencies[at < latency_count ? at : latency_count - 1];
}

static void report(void)
{
    printf("{\"octets\": %llu, \"packets\": %llu, \"unique\": %llu, \"duplicates\": %llu, \"disordered\": %llu, "
           "\"altered\": %llu, \"broken_octets\": %llu, \"unfinished_octets\": %llu, \"connections\": %llu, "
           "\"accepted_ns\": %llu, \"first_ns\": %llu, \"last_ns\": %llu, \"cpu_ns\": %llu, \"latency_ns\": {",
           octets, packets, unique, duplicates, disordered, altered, broken_octets, unfinished_octets, connections,
           accepted_ns, first_ns, last_ns, (unsigned long long)(now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_before));
    if (latency_count) {
        qsort(latencies, latency_count, sizeof *latencies, by_value);
        printf("\"p50\": %llu, \"p90\": %llu, \"p99\": %llu, \"max\": %llu", percentile(0.5), percentile(0.9),
               percentile(0.99), percentile(1));
    }
    puts("}}");
}

/* Obey one line; returns 0 when standard input has ended. Lines come one at a time: each is answered first. */
static int obey(void)
{
    char line[128];
    unsigned long long count, first;
    unsigned writes, from;
    ssize_t n = read(STDIN_FILENO, line, sizeof line - 1);
    if (n <= 0)
        return 0;
    line[n] = 0;
    if (sscanf(line, "expect %llu %u %u %llu", &count, &writes, &from, &first) == 4 && count && writes && from) {
        expect(count, writes, from, first);
        puts("expecting");
    } else if (!strcmp(line, "report\n")) {
        report();
    } else {
        fprintf(stderr, "collector: not understood: %s", line);
        exit(2);
    }
    return 1;
}

static void end(int fd)
{
    unfinished_octets -= streams[fd].tail_octets;
    broken_octets += streams[fd].tail_octets; /* a packet that was begun and never ended */
    free(streams[fd].tail);
    wire_close(&streams[fd].wire);
    memset(&streams[fd], 0, sizeof streams[fd]);
}

static void watch(int poll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event)) {
        perror("collector: epoll_ctl");
        exit(1);
    }
}

static void admit(int poll, int listener, int is_secure)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (fd >= DESCRIPTORS) {
        fprintf(stderr, "collector: too many connections\n");
        exit(1);
    }
    if (!accepted_ns)
        accepted_ns = now_ns(CLOCK_MONOTONIC);
    connections++;
    streams[fd].wire.fd = fd;
    if (is_secure)
        wire_secure_server(&streams[fd].wire);
    watch(poll, fd);
}

int main(int argc, char **argv)
{
    struct sockaddr_in here = {.sin_family = AF_INET};
    struct epoll_event events[EVENTS];
    int poll = epoll_create1(0), listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

    if (argc != 4 && argc != 5) {
        fprintf(stderr, "usage: collector PORT PACKET_FILE STAMP_OFFSET [CERTIFICATE_FILE]\n");
        return 2;
    }
    if (argc == 5)
        wire_load_certificate(argv[4]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    size = load_packet(argv[2], packet);
    stamp = (size_t)atol(argv[3]);
    expect(1, 1, 1, 0);
    here.sin_port = htons((uint16_t)atoi(argv[1]));
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (void *)&here, sizeof here) || listen(listener, 4096)) {
        perror("collector: listen");
        return 1;
    }
    watch(poll, STDIN_FILENO);
    watch(poll, listener);
    puts("ready");
    for (;;) {
        int n = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == STDIN_FILENO) {
                if (!obey())
                    return 0;
            } else if (fd == listener) {
                admit(poll, fd, argc == 5);
            } else if (!take(fd)) {
                end(fd);
            }
        }
    }
}
